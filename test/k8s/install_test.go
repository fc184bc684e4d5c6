//go:build k8s

package k8s

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// settings are what the environment says; see README.md.
type settings struct {
	images    []string
	tag       string
	overlay   string // from the root of the repository
	nats      string
	postgres  string
	s3        string
	accessKey string
	secretKey string
	replicas  string // streams
}

func fromEnvironment() (settings, error) {
	s := settings{
		images: strings.Fields(os.Getenv("WEIR_E2E_IMAGES")), tag: os.Getenv("WEIR_E2E_TAG"),
		overlay: os.Getenv("WEIR_E2E_OVERLAY"), nats: os.Getenv("WEIR_E2E_NATS"), postgres: os.Getenv("WEIR_E2E_POSTGRES"),
		s3: os.Getenv("WEIR_E2E_S3"), accessKey: os.Getenv("AWS_ACCESS_KEY_ID"), secretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		replicas: os.Getenv("WEIR_E2E_NATS_REPLICAS"),
	}
	var errs []error
	if s.tag == "" {
		errs = append(errs, errors.New("WEIR_E2E_TAG: say which tag the images have"))
	}
	if s.overlay == "" {
		s.overlay = "deploy/k8s/base"
		if s.nats == "" || s.postgres == "" || s.s3 == "" {
			errs = append(errs, errors.New("WEIR_E2E_NATS, WEIR_E2E_POSTGRES and WEIR_E2E_S3: say where they are for the pods, or name a WEIR_E2E_OVERLAY that has them"))
		}
	}
	if len(s.images) > 0 && os.Getenv("WEIR_E2E_LOAD") == "" {
		errs = append(errs, errors.New("WEIR_E2E_LOAD: say how an archive gets into the nodes (for example: kind load image-archive \"$1\"), or set WEIR_E2E_IMAGES to nothing when they are there"))
	}
	return s, errors.Join(errs...)
}

// installation is Weir in the cluster, and the figures of its start.
type installation struct {
	*cluster
	settings
	root string
	// started is the time from kubectl apply until all pods were ready.
	started time.Duration
}

// install deploys everything. What went wrong with it is told by the pods.
func install(ctx context.Context) (*installation, error) {
	set, err := fromEnvironment()
	if err != nil {
		return nil, err
	}
	root, err := driver.Root(ctx)
	if err != nil {
		return nil, err
	}
	c, err := connect()
	if err != nil {
		return nil, err
	}
	in := &installation{cluster: c, settings: set, root: root}
	if out, err := kubectl(ctx, "", "get", "namespace", namespace, outside, "--ignore-not-found", "-o", "name"); err != nil || out != "" {
		return in, errors.Join(err, fmt.Errorf("the cluster has %s already: delete it, or take another cluster", strings.Fields(out)))
	}
	for _, archive := range set.images {
		if err := hook(ctx, "WEIR_E2E_LOAD", archive); err != nil {
			return in, err
		}
	}
	if err := in.startSite(ctx); err != nil {
		return in, err
	}
	return in, in.apply(ctx)
}

// uninstall takes everything away again, unless WEIR_E2E_KEEP is set.
func (in *installation) uninstall(ctx context.Context) error {
	if os.Getenv("WEIR_E2E_KEEP") != "" {
		return in.close()
	}
	_, err := kubectl(ctx, "", "delete", "namespace", namespace, outside, "--ignore-not-found", "--timeout=3m")
	return errors.Join(err, in.close())
}

// apply writes an overlay over the one that is tried, and applies it as a user would.
func (in *installation) apply(ctx context.Context) error {
	folder := filepath.Join(in.root, "bin/e2e-k8s")
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	files := map[string]string{
		"kustomization.yaml": in.kustomization(), "settings.yaml": in.environment(ctx), "network.yaml": openNetwork,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	begin := time.Now()
	if _, err := kubectl(ctx, "", "apply", "-k", folder); err != nil {
		return err
	}
	if err := in.allReady(ctx); err != nil {
		return errors.Join(err, in.explain(ctx))
	}
	in.started = time.Since(begin)
	return nil
}

func (in *installation) kustomization() string {
	text := `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: weir
resources: [../../` + in.overlay + `, network.yaml]
images:
- {name: ghcr.io/weircrawl/weir, newTag: "` + in.tag + `"}
- {name: ghcr.io/weircrawl/weir-render, newTag: "` + in.tag + `"}
patches:
- path: settings.yaml
  target: {kind: (Deployment|StatefulSet|Job), labelSelector: app.kubernetes.io/name=weir}
`
	if in.postgres != "" {
		text += fmt.Sprintf(`secretGenerator:
- {name: weir-frontier, literals: ['url=%s']}
- {name: weir-catalogue, literals: ['url=%s']}
- {name: weir-archive, literals: ['access-key-id=%s', 'secret-access-key=%s']}
`, in.postgres, in.postgres, in.accessKey, in.secretKey)
	}
	return text
}

// environment is a patch with what the tests set beside the files of the overlay. The
// requests are small, so that replicas fit on the node of a laptop.
func (in *installation) environment(ctx context.Context) string {
	env := map[string]string{"WEIR_FETCHER_ALLOW_NET": strings.Join(in.siteAddresses(ctx), ","), "WEIR_NATS_REPLICAS": in.replicas}
	if in.nats != "" {
		env["WEIR_NATS_URL"], env["WEIR_STORAGE_ARCHIVE"] = in.nats, in.s3
	}
	text := `apiVersion: v1
kind: any
metadata: {name: any}
spec:
  template:
    spec:
      containers:
      - name: weir
        resources: {requests: {cpu: 20m, memory: 96Mi}}
        env:
`
	for name, value := range env {
		if value != "" {
			text += fmt.Sprintf("        - {name: %s, value: %q}\n", name, value)
		}
	}
	return text
}

// openNetwork lets Weir's pods reach the site and whatever is beside the cluster.
const openNetwork = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: e2e-everything}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/name: weir}}
  policyTypes: [Egress]
  egress: [{}]
`

// allReady waits for every pod of the namespace: those of services to be ready, those of
// jobs to be done.
func (in *installation) allReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("five minutes were over"))
	defer cancel()
	out, err := kubectl(ctx, "", "-n", namespace, "get", "deployments,statefulsets", "-o", "name")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(out) {
		if _, err := kubectl(ctx, "", "-n", namespace, "rollout", "status", name, "--timeout=5m"); err != nil {
			return err
		}
	}
	if out, err = kubectl(ctx, "", "-n", namespace, "get", "jobs", "-o", "name"); err != nil {
		return err
	}
	for _, name := range strings.Fields(out) {
		if _, err := kubectl(ctx, "", "-n", namespace, "wait", "--for=condition=complete", name, "--timeout=5m"); err != nil {
			return err
		}
	}
	return nil
}

// explain collects what the cluster says about pods that are not as they should be.
func (in *installation) explain(ctx context.Context) error {
	pods, _ := kubectl(ctx, "", "-n", namespace, "get", "pods,jobs", "-o", "wide")
	events, _ := kubectl(ctx, "", "-n", namespace, "get", "events", "--field-selector", "type=Warning")
	logs, _ := kubectl(ctx, "", "-n", namespace, "logs", "-l", "app.kubernetes.io/name=weir", "--prefix", "--tail=12", "--max-log-requests=40")
	return fmt.Errorf("%s\n%s\n%s", pods, events, logs)
}
