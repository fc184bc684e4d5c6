package manifests

import (
	"bytes"
	"strings"
	"testing"
)

// TestBroken breaks a build in one place at a time and shows that a check says so.
func TestBroken(t *testing.T) {
	t.Parallel()
	crds := customTypes(t)
	builds := map[string][]byte{}
	for _, folder := range []string{"overlays/dev", "test/keda"} {
		builds[folder] = build(t, folder)
	}
	for name, tt := range map[string]struct {
		folder   string // default overlays/dev
		old, new string // the first place is broken, and only that
		rule     string // that notices; empty for strict decoding
		says     string
	}{
		"unknown field":         {old: "minReadySeconds: 5", new: "minReadySecond: 5", says: `unknown field "minReadySecond"`},
		"repeated field":        {old: "minReadySeconds: 5", new: "minReadySeconds: 5\n  minReadySeconds: 6", says: "already set"},
		"wrong type":            {old: "minReadySeconds: 5", new: "minReadySeconds: five", says: "minReadySeconds"},
		"unknown kind":          {old: "kind: PodDisruptionBudget", new: "kind: PodBudget", says: "no kind PodBudget"},
		"field of a CRD":        {folder: "test/keda", old: "cooldownPeriod: 300", new: "coolDownPeriod: 300", says: "there is no field coolDownPeriod"},
		"type in a CRD":         {folder: "test/keda", old: "pollingInterval: 15", new: "pollingInterval: often", says: "pollingInterval: want integer"},
		"required in a CRD":     {folder: "test/keda", old: "  issuerRef:\n    kind: Issuer\n    name: weir\n", new: "", says: "issuerRef is missing"},
		"enum of a CRD":         {folder: "test/keda", old: "rotationPolicy: Always", new: "rotationPolicy: Sometimes", says: "none of"},
		"other namespace":       {old: "  name: weir-fetcher\n  namespace: weir\n", new: "  name: weir-fetcher\n  namespace: default\n", rule: "one namespace", says: "default"},
		"root":                  {old: "runAsNonRoot: true", new: "runAsNonRoot: false", rule: "pods may do nothing", says: "may run as root"},
		"writable image":        {old: "readOnlyRootFilesystem: true", new: "readOnlyRootFilesystem: false", rule: "pods may do nothing", says: "may write to its image"},
		"capability":            {old: "            drop:\n            - ALL", new: "            add: [NET_ADMIN]\n            drop:\n            - ALL", rule: "pods may do nothing", says: "has capabilities"},
		"token":                 {old: "      automountServiceAccountToken: false", new: "      automountServiceAccountToken: true", rule: "pods may do nothing", says: "mounts a token"},
		"node's folder":         {old: "      - emptyDir:\n          sizeLimit: 1Gi\n", new: "      - hostPath:\n          path: /\n", rule: "pods may do nothing", says: "has a folder of the node, /"},
		"latest":                {old: "ghcr.io/weircrawl/weir:dev", new: "ghcr.io/weircrawl/weir:latest", rule: "images are pinned", says: "weir:latest"},
		"no memory limit":       {old: "            memory: 2Gi\n", new: "", rule: "resources are bounded", says: "no limit of memory"},
		"limit of CPU":          {old: "          limits:\n", new: "          limits:\n            cpu: 100m\n", rule: "resources are bounded", says: "a limit of CPU"},
		"scratch without bound": {old: "      - emptyDir:\n          sizeLimit: 1Gi\n", new: "      - emptyDir: {}\n", rule: "resources are bounded", says: "has no bound"},
		"big scratch":           {old: "sizeLimit: 1Gi", new: "sizeLimit: 100Gi", rule: "resources are bounded", says: "more than its limit"},
		"life by readiness":     {old: "path: /livez", new: "path: /readyz", rule: "probes ask ports that there are", says: "does not ask /livez"},
		"port of a probe":       {old: "path: /healthz\n            port: monitor", new: "path: /healthz\n            port: metrics", rule: "probes ask ports that there are", says: "asks port metrics"},
		"selector":              {old: "  selector:\n    app.kubernetes.io/component: parser", new: "  selector:\n    app.kubernetes.io/component: parsers", rule: "services have pods", says: "selects []"},
		"target port":           {old: "targetPort: grpc", new: "targetPort: rpc", rule: "services have pods", says: "leads to rpc"},
		"not headless":          {old: "  clusterIP: None\n", new: "", rule: "services have pods", says: "is not headless"},
		"budget of all":         {old: "  maxUnavailable: 25%\n  selector:\n    matchLabels:\n      app.kubernetes.io/component: fetcher\n", new: "  maxUnavailable: 25%\n  selector:\n    matchLabels:\n", rule: "budgets fit one workload", says: "selects ["},
		"budget of nothing":     {old: "maxUnavailable: 1\n", new: "maxUnavailable: 0\n", rule: "budgets fit one workload", says: "no node can be drained"},
		"secret":                {old: "key: url", new: "key: dsn", rule: "references exist", says: "has no key dsn"},
		"config map":            {old: "          name: weir-config-", new: "          name: weir-conf-", rule: "references exist", says: "there is no ConfigMap weir-conf-"},
		"service account":       {old: "serviceAccountName: weir-parser", new: "serviceAccountName: default", rule: "references exist", says: `ServiceAccount "default"`},
		"variable":              {old: "WEIR_SCHEDULER_ADVERTISE", new: "WEIR_SCHEDULER_ADDRESS", rule: "settings exist", says: "WEIR_SCHEDULER_ADDRESS is no setting"},
		"port of a setting":     {old: `listen: ":7080"`, new: `listen: ":7081"`, rule: "settings exist", says: "port admin is 7080"},
		"little room in NATS":   {old: "max_file_store: 3GiB", new: "max_file_store: 1GiB", rule: "streams fit", says: "max_file_store is 1 GiB"},
		"two scalers":           {folder: "test/keda", old: "    kind: Deployment\n    name: weir-fetcher\n", new: "    kind: Deployment\n    name: weir-parser\n", rule: "scalers", says: "is scaled by"},
		"scaler and replicas":   {folder: "test/keda", old: "  name: weir-fetcher\n  namespace: weir\nspec:\n  minReadySeconds: 5\n", new: "  name: weir-fetcher\n  namespace: weir\nspec:\n  replicas: 3\n  minReadySeconds: 5\n", rule: "scalers", says: "says itself"},
		"threshold":             {folder: "test/keda", old: `lagThreshold: "96"`, new: `lagThreshold: "10"`, rule: "scalers", says: "the threshold is 10"},
		"too many":              {folder: "test/keda", old: "maxReplicaCount: 4", new: "maxReplicaCount: 40", rule: "scalers", says: "40 replicas"},
		"no window":             {folder: "test/keda", old: "stabilizationWindowSeconds: 300", new: "stabilizationWindowSeconds: 0", rule: "scalers", says: "every wave"},
		"no default deny":       {old: "  podSelector: {}\n", new: "  podSelector:\n    matchLabels: {a: b}\n", rule: "network", says: "may be, and need not: nats -> web:443"},
		"parser in the web":     {old: "        - 2002::/16\n  podSelector:\n    matchExpressions:\n    - key: app.kubernetes.io/component\n      operator: In\n      values:\n      - fetcher\n", new: "        - 2002::/16\n  podSelector:\n    matchExpressions:\n    - key: app.kubernetes.io/component\n      operator: In\n      values:\n      - parser\n", rule: "network", says: "may be, and need not: parser -> web:443"},
		"metadata of the cloud": {old: "        - 169.254.0.0/16\n", new: "", rule: "network", says: "fetcher -> private:80"},
		"no way to storage":     {old: "  name: weir-from-parser\n  namespace: weir\nspec:\n  egress:\n  - ports:\n    - port: 7070\n", new: "  name: weir-from-parser\n  namespace: weir\nspec:\n  egress:\n  - ports:\n    - port: 7071\n", rule: "network", says: "is needed, and may not be: parser -> storage:7070"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			folder := tt.folder
			if folder == "" {
				folder = "overlays/dev"
			}
			if !bytes.Contains(builds[folder], []byte(tt.old)) {
				t.Fatalf("%s has no %q to break", folder, tt.old)
			}
			objects, err := decode(bytes.Replace(builds[folder], []byte(tt.old), []byte(tt.new), 1), crds)
			if tt.rule == "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, want %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := collect(objects)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rules() {
				if r.name == tt.rule {
					if bad := strings.Join(r.check(s), "\n"); !strings.Contains(bad, tt.says) {
						t.Errorf("the rule %q says %q, want %q", r.name, bad, tt.says)
					}
					return
				}
			}
			t.Fatalf("there is no rule %q", tt.rule)
		})
	}
}
