//go:build k8s

package k8s

import (
	"context"
	"fmt"
	"strings"

	"github.com/weircrawl/weir/internal/testkit/site"
)

const (
	hosts = 8
	// hostConcurrency bounds what can be between the site and Weir at any time.
	hostConcurrency = 4
)

// startSite makes the Services of the site, whose addresses the fetchers' guard has to
// know, and its pod, in which the tests run their client commands too.
func (in *installation) startSite(ctx context.Context) error {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: v1
kind: Namespace
metadata: {name: %s, labels: {weircrawl.github.io/clients: "true"}}
---
apiVersion: v1
kind: Service
metadata: {name: control, namespace: %s}
spec: {selector: {app: site}, ports: [{name: control, port: 80, targetPort: 9000}]}
`, outside, outside)
	for i := range hosts {
		fmt.Fprintf(&b, `---
apiVersion: v1
kind: Service
metadata: {name: site-%d, namespace: %s}
spec: {selector: {app: site}, ports: [{name: http, port: 80, targetPort: %d}]}
`, i, outside, 8000+i)
	}
	_, err := kubectl(ctx, b.String(), "apply", "-f", "-")
	return err
}

func siteHost(i int) string { return fmt.Sprintf("site-%d.%s.svc.cluster.local", i, outside) }

// siteAddresses are the networks that the fetchers have to be allowed to visit.
func (in *installation) siteAddresses(ctx context.Context) []string {
	out, err := kubectl(ctx, "", "-n", outside, "get", "services", "-o", "jsonpath={range .items[*]}{.spec.clusterIP}/32 {end}")
	if err != nil {
		return nil // the crawls that follow tell
	}
	return strings.Fields(out)
}

// shape is how the site is for one test.
type shape struct {
	pages   int // of each host
	bytes   int // of each page
	latency string
}

// serve starts the site anew, with nothing counted.
func (in *installation) serve(ctx context.Context, s shape) (*subject, error) {
	var names []string
	for i := range hosts {
		names = append(names, siteHost(i))
	}
	args := fmt.Sprintf(`"-names", %q, "-port", "8000", "-control", ":9000", "-detached", "-links", "20", "-cross-every", "4", "-pages", "%d", "-page-bytes", "%d", "-latency", %q`,
		strings.Join(names, ","), s.pages, s.bytes, s.latency)
	manifest := fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: site, namespace: %s}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: site}}
  template:
    metadata: {labels: {app: site}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: site
        image: ghcr.io/weircrawl/weir-test:%s
        imagePullPolicy: IfNotPresent
        args: [%s]
        env:
        - {name: WEIR_SERVER, value: "dns:///weir-scheduler.%s:7070"}
        - {name: WEIR_STORAGE_SERVER, value: "dns:///weir-storage.%s:7070"}
        readinessProbe: {httpGet: {path: /info, port: 9000}, periodSeconds: 1}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes: [{name: tmp, emptyDir: {}}]
`, outside, in.tag, args, namespace, namespace)
	// Deleted first: the same shape again is to begin at nothing, too.
	if _, err := kubectl(ctx, "", "-n", outside, "delete", "deployment", "site", "--ignore-not-found", "--cascade=foreground"); err != nil {
		return nil, err
	}
	if _, err := kubectl(ctx, manifest, "apply", "-f", "-"); err != nil {
		return nil, err
	}
	if _, err := kubectl(ctx, "", "-n", outside, "rollout", "status", "deployment/site", "--timeout=2m"); err != nil {
		return nil, err
	}
	sub := &subject{in: in, control: site.Control{URL: in.url + "/api/v1/namespaces/" + outside + "/services/control:control/proxy"}}
	for i := range hosts {
		for p := range s.pages {
			path := "/"
			if p > 0 {
				path = fmt.Sprintf("/p/%d", p)
			}
			sub.pages = append(sub.pages, page{"http://" + siteHost(i) + path, fmt.Sprintf("Page %d of host %d", p, i)})
		}
	}
	return sub, in.reachable(ctx, sub)
}

// reachable waits until every host answers through its Service, which kubectl does not
// know of, and forgets the requests that were made for that.
func (in *installation) reachable(ctx context.Context, sub *subject) error {
	for i := range hosts {
		err := await(ctx, siteHost(i), func() (bool, error) {
			_, err := sub.weir(ctx, "", "fetch", "http://"+siteHost(i)+"/", "--allow-net", strings.Join(in.siteAddresses(ctx), ","))
			return err == nil, nil
		})
		if err != nil {
			return err
		}
	}
	return await(ctx, "the site's control port", func() (bool, error) { return sub.control.Reset(ctx) == nil, nil })
}
