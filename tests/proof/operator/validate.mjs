// Checks manifests of the Prometheus Operator's kinds against the schemas of its custom resources.
//
//   node validate.mjs <MANIFESTS.json      a list; prints what is wrong, and ends with 1 if anything is
import { readFileSync } from "node:fs";
import { PrometheusRule, ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const kinds = { PrometheusRule, ServiceMonitor };
for (const manifest of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    new kinds[manifest.kind](manifest).validate();
  } catch (error) {
    console.error(`${manifest.kind} ${manifest.metadata.name}: ${error.message}`);
    process.exitCode = 1;
  }
}
