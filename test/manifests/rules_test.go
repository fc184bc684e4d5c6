package manifests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// rule is something that holds for every build. It returns where it does not.
type rule struct {
	name  string
	check func(*set) []string
}

// rules are all of them.
func rules() []rule {
	return []rule{
		{"one namespace", oneNamespace},
		{"pods may do nothing", restricted},
		{"images are pinned", pinnedImages},
		{"resources are bounded", boundedResources},
		{"probes ask ports that there are", probes},
		{"services have pods", servicesHavePods},
		{"budgets fit one workload", budgetsFit},
		{"references exist", referencesExist},
		{"settings exist", settingsExist},
		{"streams fit", streamsFit},
		{"scalers", scalersFit},
		{"network", networkProblems},
	}
}

// TestRules checks every build by every rule.
func TestRules(t *testing.T) {
	t.Parallel()
	crds := customTypes(t)
	for _, folder := range overlays(t) {
		objects, err := decode(build(t, folder), crds)
		if err != nil {
			t.Fatal(err)
		}
		s, err := collect(objects)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules() {
			t.Run(folder+"/"+strings.ReplaceAll(r.name, " ", "-"), func(t *testing.T) {
				t.Parallel()
				for _, problem := range r.check(s) {
					t.Error(problem)
				}
			})
		}
	}
}

// namespace is where everything is.
const namespace = "weir"

func oneNamespace(s *set) (bad []string) {
	if !slices.Equal(s.namespaces, []string{namespace}) {
		bad = append(bad, fmt.Sprintf("namespaces are %v", s.namespaces))
	}
	for _, o := range s.objects {
		if got := field(o.Fields, "metadata", "namespace"); got != namespace && o.Kind != "Namespace" {
			bad = append(bad, fmt.Sprintf("%s is in the namespace %v", o, got))
		}
	}
	return bad
}

// restricted is the profile of that name of the Pod Security Standards, and more.
func restricted(s *set) (bad []string) {
	for _, w := range s.workloads {
		say := func(format string, args ...any) { bad = append(bad, w.String()+": "+fmt.Sprintf(format, args...)) }
		p := w.Pod
		if p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken {
			say("mounts a token of the Kubernetes API")
		}
		if p.HostNetwork || p.HostPID || p.HostIPC {
			say("shares a namespace with the node")
		}
		sc := p.SecurityContext
		if sc == nil || sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot || sc.RunAsUser == nil || *sc.RunAsUser == 0 {
			say("may run as root")
		} else if w.ours() && *sc.RunAsUser != 65532 {
			say("runs as user %d, and the image is made for 65532", *sc.RunAsUser)
		}
		if sc == nil || sc.SeccompProfile == nil || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			say("has no seccomp profile")
		}
		for _, v := range p.Volumes {
			if v.HostPath != nil {
				say("has a folder of the node, %s", v.HostPath.Path)
			}
		}
		for _, c := range slices.Concat(p.InitContainers, p.Containers) {
			bad = append(bad, containerMayDoNothing(w, c)...)
		}
	}
	return bad
}

func containerMayDoNothing(w workload, c corev1.Container) (bad []string) {
	say := func(what string) { bad = append(bad, w.String()+": "+c.Name+": "+what) }
	sc := c.SecurityContext
	if sc == nil {
		say("has no security context")
		return bad
	}
	if sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation {
		say("may get more rights")
	}
	if sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem {
		say("may write to its image")
	}
	if sc.Privileged != nil && *sc.Privileged || sc.RunAsUser != nil || sc.RunAsNonRoot != nil {
		say("has rights of its own")
	}
	if sc.Capabilities == nil || len(sc.Capabilities.Add) > 0 || !slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		say("has capabilities")
	}
	if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/tmp" }) {
		say("has no /tmp to write to")
	}
	return bad
}

func pinnedImages(s *set) (bad []string) {
	for _, w := range s.workloads {
		for _, c := range w.Pod.Containers {
			_, tag, ok := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
			if !ok || tag == "latest" || tag == "" {
				bad = append(bad, fmt.Sprintf("%s: image %s", w, c.Image))
			}
			if c.ImagePullPolicy != corev1.PullIfNotPresent {
				bad = append(bad, fmt.Sprintf("%s: imagePullPolicy %q", w, c.ImagePullPolicy))
			}
		}
	}
	return bad
}

// boundedResources: the scheduler knows what a pod needs, memory and disk have a bound,
// and what a pod may write to scratch volumes is within that.
func boundedResources(s *set) (bad []string) {
	for _, w := range s.workloads {
		say := func(format string, args ...any) { bad = append(bad, w.String()+": "+fmt.Sprintf(format, args...)) }
		for _, c := range w.Pod.Containers {
			r := c.Resources
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
				req, ok := r.Requests[name]
				if !ok {
					say("no request of %s", name)
				}
				limit, limited := r.Limits[name]
				switch {
				case name == corev1.ResourceCPU && limited:
					say("a limit of CPU makes heart-beats late")
				case name != corev1.ResourceCPU && !limited:
					say("no limit of %s", name)
				case limited && req.Cmp(limit) > 0:
					say("asks for more %s than it may have", name)
				}
			}
		}
		disk := w.Pod.Containers[0].Resources.Limits.StorageEphemeral().DeepCopy()
		for _, v := range w.Pod.Volumes {
			if v.EmptyDir == nil {
				continue
			}
			if v.EmptyDir.SizeLimit == nil {
				say("volume %s has no bound", v.Name)
				continue
			}
			disk.Sub(*v.EmptyDir.SizeLimit)
		}
		if disk.Sign() < 0 {
			say("its volumes may hold %s more than its limit of ephemeral-storage", disk.String()[1:])
		}
	}
	return bad
}

// probes: what serves has all three, on ports that it has, and its life does not hang on
// what its readiness hangs on.
func probes(s *set) (bad []string) {
	for _, w := range s.workloads {
		if !w.serves() {
			continue
		}
		say := func(format string, args ...any) { bad = append(bad, w.String()+": "+fmt.Sprintf(format, args...)) }
		c := w.container()
		want := map[string]string{"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}
		for name, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			if p == nil {
				say("no %s probe", name)
				continue
			}
			get := p.HTTPGet
			if w.ours() && (get == nil || get.Path != want[name] || get.Port.String() != "admin") {
				say("the %s probe does not ask %s of the admin port", name, want[name])
			}
			if get != nil && w.ports()[get.Port.String()] == 0 {
				say("the %s probe asks port %s, and there are %s", name, get.Port.String(), names(w.ports()))
			}
		}
		if p := c.StartupProbe; p != nil && p.PeriodSeconds*p.FailureThreshold < 60 {
			say("has %d s to start", p.PeriodSeconds*p.FailureThreshold)
		}
		if w.Pod.TerminationGracePeriodSeconds == nil || *w.Pod.TerminationGracePeriodSeconds < 30 {
			say("has no time to stop")
		}
		if w.ours() && len(w.Pod.TopologySpreadConstraints) == 0 {
			say("may be all on one node")
		}
	}
	return bad
}

// servicesHavePods: each Service selects the pods of one workload, at ports that these
// have; those of gRPC are headless, so that clients see all replicas.
func servicesHavePods(s *set) (bad []string) {
	for _, svc := range s.services {
		say := func(format string, args ...any) {
			bad = append(bad, "Service/"+svc.Name+": "+fmt.Sprintf(format, args...))
		}
		var found []workload
		for _, w := range s.workloads {
			if selects(svc.Spec.Selector, w.Labels) {
				found = append(found, w)
			}
		}
		if len(found) != 1 || len(svc.Spec.Selector) == 0 {
			say("selects %v", found)
			continue
		}
		for _, p := range svc.Spec.Ports {
			if found[0].ports()[p.TargetPort.String()] == 0 {
				say("port %s leads to %s, and the pods have %s", p.Name, p.TargetPort.String(), names(found[0].ports()))
			}
			if p.Name == "grpc" && svc.Spec.ClusterIP != corev1.ClusterIPNone {
				say("is not headless: gRPC would keep to one replica")
			}
		}
	}
	for _, w := range s.workloads {
		if w.Headless != "" && !slices.ContainsFunc(s.services, func(v *corev1.Service) bool { return v.Name == w.Headless }) {
			bad = append(bad, fmt.Sprintf("%s: there is no Service %s", w, w.Headless))
		}
		if w.serves() && !selects(w.Selects, w.Labels) {
			bad = append(bad, fmt.Sprintf("%s does not select its own pods", w))
		}
	}
	return bad
}

// budgetsFit: each PodDisruptionBudget is of one workload, and each service has one that
// lets a drain go on.
func budgetsFit(s *set) (bad []string) {
	budgets := map[string]int{}
	for _, b := range s.budgets {
		var found []string
		for _, w := range s.workloads {
			if b.Spec.Selector != nil && len(b.Spec.Selector.MatchLabels) > 0 && selects(b.Spec.Selector.MatchLabels, w.Labels) {
				found = append(found, w.String())
				budgets[w.String()]++
			}
		}
		if len(found) != 1 {
			bad = append(bad, fmt.Sprintf("PodDisruptionBudget/%s selects %v", b.Name, found))
		}
		if b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.String() == "0" {
			bad = append(bad, fmt.Sprintf("PodDisruptionBudget/%s: no pod may go, so that no node can be drained", b.Name))
		}
	}
	for _, w := range s.workloads {
		if w.ours() && w.serves() && budgets[w.String()] != 1 {
			bad = append(bad, fmt.Sprintf("%s has %d PodDisruptionBudgets", w, budgets[w.String()]))
		}
	}
	return bad
}
