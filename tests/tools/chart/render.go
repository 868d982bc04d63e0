// Renders the templates of a Helm chart with the libraries that Helm itself renders with, text/template and sprig, for
// machines where Helm cannot be had. It knows what our chart uses: `include`, `toYaml`, `.Files.Get` and `.Files.Glob`.
// It does not read .helmignore, hooks, dependencies or the cluster.
//
//	render CHART <CONTEXT.json      {"Values": ..., "Chart": ..., "Release": ...}; YAML documents to standard output
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"gopkg.in/yaml.v3"
)

// A chart's folder as the templates see it; links are followed, as Helm does.
type files struct{ root string }

func (f files) Get(name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(f.root, name))
	return string(content), err
}

func (f files) Glob(pattern string) (map[string][]byte, error) {
	found := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(f.root, pattern))
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		found[strings.TrimPrefix(name, f.root+"/")] = content
	}
	return found, err
}

func toYaml(value any) (string, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := encoder.Encode(value)
	return strings.TrimSuffix(text.String(), "\n"), err
}

func render(chart string) error {
	context := map[string]any{}
	if err := json.NewDecoder(os.Stdin).Decode(&context); err != nil {
		return fmt.Errorf("context: %w", err)
	}
	context["Files"] = files{chart}
	// Helm takes these two away, too.
	functions := sprig.TxtFuncMap()
	delete(functions, "env")
	delete(functions, "expandenv")
	all := template.New("chart").Option("missingkey=zero").Funcs(functions)
	all.Funcs(template.FuncMap{
		"toYaml": toYaml,
		"include": func(name string, data any) (string, error) {
			var text strings.Builder
			err := all.ExecuteTemplate(&text, name, data)
			return text.String(), err
		},
	})
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		return err
	}
	for _, name := range paths {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := all.New(path.Base(name)).Parse(string(text)); err != nil {
			return err
		}
	}
	for _, name := range paths {
		if base := path.Base(name); !strings.HasPrefix(base, "_") {
			var text strings.Builder
			if err := all.ExecuteTemplate(&text, base, context); err != nil {
				return err
			}
			// As in `helm template`: where a document comes from. NOTES.txt is for people.
			fmt.Printf("---\n# Source: %s\n%s\n", base, strings.ReplaceAll(text.String(), "<no value>", ""))
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: render CHART <CONTEXT.json")
		os.Exit(2)
	}
	if err := render(strings.TrimSuffix(os.Args[1], "/")); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}
