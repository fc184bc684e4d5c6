package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// set is what one build has, by kind.
type set struct {
	objects    []object
	workloads  []workload
	services   []*corev1.Service
	budgets    []*policyv1.PodDisruptionBudget
	policies   []*networkingv1.NetworkPolicy
	scalers    []scaler
	accounts   map[string]*corev1.ServiceAccount
	configs    map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
	namespaces []string
}

// workload is what makes pods.
type workload struct {
	Kind, Name string
	// Replicas is nil where nobody has said.
	Replicas *int32
	// Selects are the labels by which it knows its pods; empty for a Job.
	Selects map[string]string
	// Labels are those of its pods.
	Labels map[string]string
	Pod    corev1.PodSpec
	// Headless is the Service of a StatefulSet.
	Headless string
	// Claims are the names of its disks.
	Claims []string
}

// String names the workload.
func (w workload) String() string { return w.Kind + "/" + w.Name }

// ours reports whether Weir runs in it, and not what it needs.
func (w workload) ours() bool { return w.Labels["app.kubernetes.io/name"] == "weir" }

// component is its stage.
func (w workload) component() string {
	if w.ours() {
		return w.Labels["app.kubernetes.io/component"]
	}
	return w.Name
}

// serves reports whether it runs until it is stopped.
func (w workload) serves() bool { return w.Kind != "Job" }

// scaler is an HPA or a ScaledObject.
type scaler struct {
	Object             string
	Kind, Name         string // of its target
	Least, Most        int32
	Consumer           string // whose lag it goes by, empty for CPU
	Threshold          int64  // of that lag, a replica
	Falls, Stabilized  bool   // it has a fallback; it waits before it scales down
	Endpoint, Activate string
}

// collect sorts objects by kind.
func collect(objects []object) (*set, error) {
	s := &set{
		objects: objects, accounts: map[string]*corev1.ServiceAccount{},
		configs: map[string]*corev1.ConfigMap{}, secrets: map[string]*corev1.Secret{},
	}
	for _, o := range objects {
		switch v := o.Typed.(type) {
		case *corev1.Namespace:
			s.namespaces = append(s.namespaces, v.Name)
		case *corev1.ServiceAccount:
			s.accounts[v.Name] = v
		case *corev1.ConfigMap:
			s.configs[v.Name] = v
		case *corev1.Secret:
			s.secrets[v.Name] = v
		case *corev1.Service:
			s.services = append(s.services, v)
		case *policyv1.PodDisruptionBudget:
			s.budgets = append(s.budgets, v)
		case *networkingv1.NetworkPolicy:
			s.policies = append(s.policies, v)
		case *appsv1.Deployment:
			s.workloads = append(s.workloads, workload{Kind: o.Kind, Name: v.Name, Replicas: v.Spec.Replicas,
				Selects: v.Spec.Selector.MatchLabels, Labels: v.Spec.Template.Labels, Pod: v.Spec.Template.Spec})
		case *appsv1.StatefulSet:
			w := workload{Kind: o.Kind, Name: v.Name, Replicas: v.Spec.Replicas, Selects: v.Spec.Selector.MatchLabels,
				Labels: v.Spec.Template.Labels, Pod: v.Spec.Template.Spec, Headless: v.Spec.ServiceName}
			for _, c := range v.Spec.VolumeClaimTemplates {
				w.Claims = append(w.Claims, c.Name)
			}
			s.workloads = append(s.workloads, w)
		case *batchv1.Job:
			s.workloads = append(s.workloads, workload{Kind: o.Kind, Name: v.Name, Labels: v.Spec.Template.Labels, Pod: v.Spec.Template.Spec})
		case *autoscalingv2.HorizontalPodAutoscaler:
			s.scalers = append(s.scalers, ofHPA(o, v))
		case nil:
			if o.Kind == "ScaledObject" {
				sc, err := ofScaledObject(o)
				if err != nil {
					return nil, err
				}
				s.scalers = append(s.scalers, sc)
			}
		}
	}
	return s, nil
}

func ofHPA(o object, v *autoscalingv2.HorizontalPodAutoscaler) scaler {
	sc := scaler{Object: o.String(), Kind: v.Spec.ScaleTargetRef.Kind, Name: v.Spec.ScaleTargetRef.Name, Least: 1, Most: v.Spec.MaxReplicas, Falls: true}
	if v.Spec.MinReplicas != nil {
		sc.Least = *v.Spec.MinReplicas
	}
	sc.Stabilized = stabilized(v.Spec.Behavior)
	for _, m := range v.Spec.Metrics {
		if m.External != nil {
			sc.Consumer = m.External.Metric.Selector.MatchLabels["consumer"]
			sc.Threshold = m.External.Target.AverageValue.Value()
		}
	}
	return sc
}

func ofScaledObject(o object) (scaler, error) {
	var v struct {
		Spec struct {
			ScaleTargetRef  struct{ Kind, Name string }
			MinReplicaCount *int32
			MaxReplicaCount int32
			Fallback        *struct{ Replicas int32 }
			Advanced        struct {
				HorizontalPodAutoscalerConfig struct {
					Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior
				}
			}
			Triggers []struct {
				Type     string
				Metadata map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(o.Data, &v); err != nil {
		return scaler{}, fmt.Errorf("%s: %w", o, err)
	}
	sp := v.Spec
	sc := scaler{Object: o.String(), Kind: sp.ScaleTargetRef.Kind, Name: sp.ScaleTargetRef.Name, Most: sp.MaxReplicaCount,
		Falls: sp.Fallback != nil, Stabilized: stabilized(sp.Advanced.HorizontalPodAutoscalerConfig.Behavior)}
	if sp.MinReplicaCount != nil {
		sc.Least = *sp.MinReplicaCount
	}
	for _, t := range sp.Triggers {
		if t.Type != "nats-jetstream" {
			return sc, fmt.Errorf("%s: a trigger of type %s", o, t.Type)
		}
		sc.Consumer, sc.Endpoint, sc.Activate = t.Metadata["consumer"], t.Metadata["natsServerMonitoringEndpoint"], t.Metadata["activationLagThreshold"]
		if _, err := fmt.Sscan(t.Metadata["lagThreshold"], &sc.Threshold); err != nil {
			return sc, fmt.Errorf("%s: lagThreshold: %w", o, err)
		}
	}
	return sc, nil
}

func stabilized(b *autoscalingv2.HorizontalPodAutoscalerBehavior) bool {
	return b != nil && b.ScaleDown != nil && b.ScaleDown.StabilizationWindowSeconds != nil &&
		*b.ScaleDown.StabilizationWindowSeconds >= 300 && len(b.ScaleDown.Policies) > 0 && b.ScaleUp != nil && len(b.ScaleUp.Policies) > 0
}

// selects reports whether a selector of labels fits others. An empty one fits all.
func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// container returns the one container of a workload of ours.
func (w workload) container() corev1.Container { return w.Pod.Containers[0] }

// ports are those of all containers by name.
func (w workload) ports() map[string]int32 {
	all := map[string]int32{}
	for _, c := range w.Pod.Containers {
		for _, p := range c.Ports {
			all[p.Name] = p.ContainerPort
		}
	}
	return all
}

// names of a map, sorted.
func names[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }
