package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	yaml3 "go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// deploy is the folder of the manifests, seen from this package's.
const deploy = "../../deploy/k8s"

// object is one object of a build.
type object struct {
	// Version, Kind and Name identify it; all are in one namespace.
	Version, Kind, Name string
	// Data is the object as YAML.
	Data []byte
	// Typed is what Data decodes to, nil for the kinds of a CRD.
	Typed any
	// Fields is the same without a type.
	Fields map[string]any
}

// String names the object.
func (o object) String() string { return o.Kind + "/" + o.Name }

// types are the kinds of Kubernetes itself that the manifests may have.
func types() map[string]func() any {
	return map[string]func() any{
		"v1/Namespace":                       func() any { return new(corev1.Namespace) },
		"v1/ServiceAccount":                  func() any { return new(corev1.ServiceAccount) },
		"v1/Service":                         func() any { return new(corev1.Service) },
		"v1/ConfigMap":                       func() any { return new(corev1.ConfigMap) },
		"v1/Secret":                          func() any { return new(corev1.Secret) },
		"apps/v1/Deployment":                 func() any { return new(appsv1.Deployment) },
		"apps/v1/StatefulSet":                func() any { return new(appsv1.StatefulSet) },
		"batch/v1/Job":                       func() any { return new(batchv1.Job) },
		"policy/v1/PodDisruptionBudget":      func() any { return new(policyv1.PodDisruptionBudget) },
		"networking.k8s.io/v1/NetworkPolicy": func() any { return new(networkingv1.NetworkPolicy) },
		"autoscaling/v2/HorizontalPodAutoscaler": func() any {
			return new(autoscalingv2.HorizontalPodAutoscaler)
		},
	}
}

// build runs kustomize on a folder below deploy/k8s, as `kubectl apply -k` does.
func build(t *testing.T, folder string) []byte {
	t.Helper()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(deploy, folder))
	if err != nil {
		t.Fatalf("kustomize build %s: %v", folder, err)
	}
	data, err := m.AsYaml()
	if err != nil {
		t.Fatalf("kustomize build %s: %v", folder, err)
	}
	return data
}

// decode takes the output of kustomize apart. An unknown or repeated field of any
// object is an error.
func decode(data []byte, crds schemas) ([]object, error) {
	var all []object
	var errs []error
	for doc := range bytes.SplitSeq(data, []byte("\n---\n")) {
		o, err := decodeOne(doc, crds)
		if err != nil {
			errs = append(errs, err)
		}
		all = append(all, o)
	}
	return all, errors.Join(errs...)
}

func decodeOne(doc []byte, crds schemas) (object, error) {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return object{}, err
	}
	o := object{Version: head.APIVersion, Kind: head.Kind, Name: head.Metadata.Name, Data: doc}
	if err := yaml.UnmarshalStrict(doc, &o.Fields); err != nil {
		return o, fmt.Errorf("%s: %w", o, err)
	}
	if make, ok := types()[o.Version+"/"+o.Kind]; ok {
		o.Typed = make()
		if err := yaml.UnmarshalStrict(doc, o.Typed); err != nil {
			return o, fmt.Errorf("%s: %w", o, err)
		}
		return o, nil
	}
	schema, ok := crds[o.Version+"/"+o.Kind]
	if !ok {
		return o, fmt.Errorf("%s: there is no kind %s of %s", o, o.Kind, o.Version)
	}
	var errs []error
	for _, problem := range schema.problems(o.Kind, o.Fields) {
		errs = append(errs, fmt.Errorf("%s: %s", o, problem))
	}
	return o, errors.Join(errs...)
}

// overlays are the folders that people apply, and below test those that add the
// components, one by one.
func overlays(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"overlays/*", "test/*"} {
		found, err := filepath.Glob(filepath.Join(deploy, pattern, "kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			rel, err := filepath.Rel(deploy, filepath.Dir(f))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, rel)
		}
	}
	if !slices.Contains(all, "overlays/dev") || !slices.Contains(all, "overlays/prod") {
		t.Fatalf("overlays dev and prod are not among %v", all)
	}
	return all
}

// TestBuild builds every overlay and decodes every object strictly.
func TestBuild(t *testing.T) {
	t.Parallel()
	crds := customTypes(t)
	for _, folder := range overlays(t) {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			objects, err := decode(build(t, folder), crds)
			if err != nil {
				t.Error(err)
			}
			if len(objects) < 40 {
				t.Errorf("only %d objects", len(objects))
			}
		})
	}
}

// TestSources looks for keys that a file has twice: kustomize takes the last in
// silence. And every component is part of some build.
func TestSources(t *testing.T) {
	t.Parallel()
	var kustomizations strings.Builder
	var components []string
	err := filepath.WalkDir(deploy, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Base(path) == "kustomization.yaml" {
			kustomizations.Write(data)
			if strings.Contains(path, "/components/") {
				components = append(components, filepath.Base(filepath.Dir(path)))
			}
		}
		for dec := yaml3.NewDecoder(bytes.NewReader(data)); ; {
			var doc any
			if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				t.Errorf("%s: %v", path, err)
				return nil
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range components {
		if !strings.Contains(kustomizations.String(), "components/"+c+"\n") {
			t.Errorf("no build has the component %s", c)
		}
	}
}

// field returns what is at a path of names in nested maps, nil for nothing.
func field(m map[string]any, path ...string) any {
	var v any = m
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}
