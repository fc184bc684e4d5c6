//go:build long

package manifests

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// bin is a flag since go test gives tests no other way to be told.
var bin = flag.String("bin", "", "folder with etcd and kube-apiserver; see make k8s-api")

// TestAPIServer applies every build to a real API server with the CRDs of KEDA,
// cert-manager and prometheus-operator: every object is accepted with strict validation
// and no warning, applying again changes nothing, the pods are admitted under the
// namespace's Pod Security profile, and who scales a Deployment is not overruled.
func TestAPIServer(t *testing.T) {
	if *bin == "" {
		t.Fatal("no -bin: run make k8s-api")
	}
	a := startAPIServer(t, *bin)
	t.Logf("version %s", a.do(t.Context(), http.MethodGet, "/version", "", nil).body)
	a.installCRDs(t)
	crds := customTypes(t)
	for _, folder := range overlays(t) {
		t.Run(folder, func(t *testing.T) {
			objects, err := decode(build(t, folder), crds)
			if err != nil {
				t.Fatal(err)
			}
			applied := a.applyAll(t, objects)
			a.applyAgain(t, objects, applied)
			a.admitPods(t, objects)
			a.scaleByHand(t, objects)
			a.deleteAll(t, objects)
		})
	}
	t.Run("refusals", a.refusals)
}

// installCRDs installs what the components need, and waits until the API serves it.
func (a *apiServer) installCRDs(t *testing.T) {
	t.Helper()
	for _, file := range crdFiles(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o := object{Version: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition", Data: data}
		if err := yaml.Unmarshal(data, &o.Fields); err != nil {
			t.Fatal(err)
		}
		o.Name, _ = field(o.Fields, "metadata", "name").(string)
		if got := a.apply(t, o, false); got.code != http.StatusCreated {
			t.Fatalf("%s: %s", o.Name, got)
		}
		await(t.Context(), t, o.Name, func() bool { return a.serves(t, o) })
	}
}

// serves reports whether the API has the objects that a definition defines, and says so
// in its lists of kinds, which come a moment after the definition is established.
func (a *apiServer) serves(t *testing.T, definition object) bool {
	t.Helper()
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Plural string }
			Versions []struct {
				Name   string
				Served bool
			}
		}
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	got := a.do(t.Context(), http.MethodGet, a.path(t, definition), "", nil)
	if err := json.Unmarshal(got.body, &crd); err != nil {
		return false
	}
	established := false
	for _, c := range crd.Status.Conditions {
		established = established || c.Type == "Established" && c.Status == "True"
	}
	for _, v := range crd.Spec.Versions {
		list := a.do(t.Context(), http.MethodGet, "/apis/"+crd.Spec.Group+"/"+v.Name, "", nil)
		if v.Served && !bytes.Contains(list.body, []byte(`"name":"`+crd.Spec.Names.Plural+`"`)) {
			return false
		}
	}
	return established
}

// applyAll applies all objects, first without effect where that is possible, and
// returns their resourceVersions by path.
func (a *apiServer) applyAll(t *testing.T, objects []object) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for _, dryRun := range []bool{true, false} {
		for _, o := range objects {
			// What is in a namespace needs it, without effect too.
			got := a.apply(t, o, dryRun && o.Kind != "Namespace")
			if got.code != http.StatusCreated && got.code != http.StatusOK || len(got.warnings) > 0 {
				t.Errorf("apply %s, dry run %t: %s", o, dryRun, got)
			}
			versions[a.path(t, o)] = resourceVersion(t, got)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return versions
}

// applyAgain shows that nothing is changed by applying what is there: no field is one
// that the server would rather have otherwise.
func (a *apiServer) applyAgain(t *testing.T, objects []object, versions map[string]string) {
	t.Helper()
	for _, o := range objects {
		got := a.apply(t, o, false)
		if v := resourceVersion(t, got); v != versions[a.path(t, o)] || got.code != http.StatusOK {
			t.Errorf("%s was changed by applying it again: %s", o, got)
		}
	}
}

// admitPods makes a pod of each template, as the controllers would, without effect.
func (a *apiServer) admitPods(t *testing.T, objects []object) {
	t.Helper()
	s, err := collect(objects)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range s.workloads {
		pod := corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Name: w.Name + "-0", Labels: w.Labels},
			Spec:       w.Pod,
		}
		for _, claim := range w.Claims {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}})
		}
		data, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		got := a.do(t.Context(), http.MethodPost, "/api/v1/namespaces/"+namespace+"/pods?dryRun=All&fieldValidation=Strict", "application/json", data)
		if got.code != http.StatusCreated || len(got.warnings) > 0 {
			t.Errorf("a pod of %s is not admitted: %s", w, got)
		}
	}
}

// scaleByHand scales each Deployment that says no number, as kubectl, an HPA and KEDA do,
// applies it again, and looks whether the number stayed.
func (a *apiServer) scaleByHand(t *testing.T, objects []object) {
	t.Helper()
	for _, o := range objects {
		if o.Kind != "Deployment" || field(o.Fields, "spec", "replicas") != nil {
			continue
		}
		scaled := a.do(t.Context(), http.MethodPatch, a.path(t, o)+"/scale?fieldManager=hand", "application/merge-patch+json", []byte(`{"spec":{"replicas":5}}`))
		if scaled.code != http.StatusOK {
			t.Fatalf("scale %s: %s", o, scaled)
		}
		got := a.apply(t, o, false)
		if !bytes.Contains(got.body, []byte(`"replicas":5`)) {
			t.Errorf("%s had 5 replicas before it was applied again: %s", o, got)
		}
	}
}

// deleteAll makes room for the next build, whose immutable fields are others.
func (a *apiServer) deleteAll(t *testing.T, objects []object) {
	t.Helper()
	for _, o := range objects {
		if o.Kind == "Namespace" {
			continue // without controllers it would never be gone
		}
		got := a.do(t.Context(), http.MethodDelete, a.path(t, o)+"?gracePeriodSeconds=0&propagationPolicy=Background", "", nil)
		if got.code != http.StatusOK && got.code != http.StatusAccepted {
			t.Errorf("delete %s: %s", o, got)
		}
	}
}

// refusals shows that the server notices what is wrong.
func (a *apiServer) refusals(t *testing.T) {
	builds := map[string][]byte{"overlays/dev": build(t, "overlays/dev"), "test/keda": build(t, "test/keda")}
	for name, tt := range map[string]struct{ folder, object, old, new, says string }{
		"unknown field":          {"overlays/dev", "Deployment/weir-fetcher", "minReadySeconds: 5", "minReadySecond: 5", "field not declared in schema"},
		"value out of range":     {"overlays/dev", "Deployment/weir-fetcher", "minReadySeconds: 5", "minReadySeconds: -5", "must be greater than or equal to 0"},
		"port of no name":        {"overlays/dev", "Deployment/weir-fetcher", "path: /livez\n            port: admin", "path: /livez\n            port: an admin port", "must contain only alpha-numeric characters"},
		"selector of other pods": {"overlays/dev", "Deployment/weir-parser", "    matchLabels:\n      app.kubernetes.io/component: parser", "    matchLabels:\n      app.kubernetes.io/component: other", "`selector` does not match template `labels`"},
		"two kinds of budget":    {"overlays/dev", "PodDisruptionBudget/weir-parser", "  maxUnavailable: 25%", "  minAvailable: 1\n  maxUnavailable: 25%", "cannot be both set"},
		"field of KEDA":          {"test/keda", "ScaledObject/weir-render", "cooldownPeriod: 300", "coolDownPeriod: 300", "field not declared in schema"},
		"type of KEDA":           {"test/keda", "ScaledObject/weir-render", "maxReplicaCount: 8", `maxReplicaCount: "8"`, "expected numeric"},
		"enum of cert-manager":   {"test/keda", "Certificate/weir-tls-parser", "rotationPolicy: Always", "rotationPolicy: Sometimes", "Unsupported value"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			for doc := range bytes.SplitSeq(builds[tt.folder], []byte("\n---\n")) {
				var head struct {
					APIVersion, Kind string
					Metadata         struct{ Name string }
				}
				if err := yaml.Unmarshal(doc, &head); err != nil {
					t.Fatal(err)
				}
				o := object{Version: head.APIVersion, Kind: head.Kind, Name: head.Metadata.Name, Data: bytes.Replace(doc, []byte(tt.old), []byte(tt.new), 1)}
				if o.String() != tt.object {
					continue
				}
				if bytes.Equal(o.Data, doc) {
					t.Fatalf("%s has no %q to break", o, tt.old)
				}
				if got := a.apply(t, o, true); got.code < 400 || !strings.Contains(string(got.body), tt.says) {
					t.Errorf("got %s, want %q", got, tt.says)
				}
				return
			}
			t.Fatalf("%s has no %s", tt.folder, tt.object)
		})
	}
}

// resourceVersion is that of an object as the server shows it.
func resourceVersion(t *testing.T, got answer) string {
	t.Helper()
	var o metav1.PartialObjectMetadata
	if err := json.Unmarshal(got.body, &o); err != nil {
		t.Errorf("%v in %s", err, got)
	}
	return o.ResourceVersion
}
