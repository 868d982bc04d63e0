{{/* The name of everything: that of the release, and that of the chart where the release is called otherwise. */}}
{{- define "exporter.name" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "exporter.serviceAccount" -}}
{{- default (ternary (include "exporter.name" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "exporter.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "exporter.labels" -}}
{{ include "exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Name, namespace, labels and annotations of an object: (dict "top" . "name" NAME "labels" MORE "annotations" SOME) */}}
{{- define "exporter.metadata" -}}
name: {{ .name }}
namespace: {{ .top.Release.Namespace }}
labels:
  {{- include "exporter.labels" .top | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "exporter.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{/* Not empty if the exporter reads a configuration file. */}}
{{- define "exporter.configured" -}}
{{- if and .Values.config (not .Values.demo) }}yes{{ end }}
{{- end }}

{{/* "claim" for a Deployment that keeps its state in a claim, "pod" for one that does not, "template" for shards. */}}
{{- define "exporter.storage" -}}
{{- if gt (int .Values.shards) 1 }}template
{{- else if or .Values.storage.persistent .Values.storage.existingClaim }}claim
{{- else }}pod
{{- end }}
{{- end }}

{{/* Values that contradict each other end the installation here, before a pod fails with them. */}}
{{- define "exporter.check" -}}
{{- with .Values }}
{{- if not (or .demo .config .workloadIdentity.enabled) }}
{{- fail "config: required; give the exporter's configuration, or set demo or workloadIdentity.enabled" }}
{{- end }}
{{- if and .demo (or .config .workloadIdentity.enabled (gt (int .shards) 1)) }}
{{- fail "demo: reads a simulated tenant; remove config, workloadIdentity and shards" }}
{{- end }}
{{- if and (contains "/run/secrets/teams-rooms-exporter/" (toYaml .config)) (not (or .existingSecret .extraVolumes)) }}
{{- fail "existingSecret: required, because config names files in /run/secrets/teams-rooms-exporter" }}
{{- end }}
{{- if and .intake.enabled (gt (int .shards) 1) }}
{{- fail "intake.enabled: an incident counts only in the shard of its room; mirror the requests to all shards with a proxy of your own" }}
{{- end }}
{{- if and .intake.ingress.enabled (not (and .intake.enabled .intake.ingress.host .intake.ingress.tlsSecretName)) }}
{{- fail "intake.ingress: needs intake.enabled, host and tlsSecretName; the portals send a secret" }}
{{- end }}
{{- end }}
{{- end }}
