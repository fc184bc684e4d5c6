package manifests

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// node is what traffic comes from or goes to: a pod, or an address that is none.
type node struct {
	name      string
	addr      netip.Addr
	namespace map[string]string // labels of it; nil for what is no pod
	labels    map[string]string
	ports     map[string]int32
	protocol  corev1.Protocol
}

// Addresses that are no pods. Those of one name stand for the same thing.
func addresses() []node {
	var all []node
	add := func(name string, addrs ...string) {
		for _, a := range addrs {
			all = append(all, node{name: name, addr: netip.MustParseAddr(a), protocol: corev1.ProtocolTCP,
				ports: map[string]int32{"80": 80, "443": 443, "4222": 4222, "5432": 5432, "8443": 8443}})
		}
	}
	add("web", "93.184.216.34", "2606:2800:220::1")
	// The cloud's metadata, nodes, Services, this machine.
	add("private", "169.254.169.254", "192.168.1.10", "172.16.0.1", "100.64.0.1", "127.0.0.1", "fd00::1", "fe80::1", "::1")
	add("ten", "10.96.0.1")
	return all
}

// nodes are the pods of a build, others of a cluster, and addresses.
func (s *set) nodes() []node {
	ours := map[string]string{"kubernetes.io/metadata.name": namespace}
	pod := netip.MustParseAddr("10.244.0.1")
	var all []node
	add := func(n node) {
		pod = pod.Next()
		n.addr = pod
		if n.protocol == "" {
			n.protocol = corev1.ProtocolTCP
		}
		all = append(all, n)
	}
	for _, w := range s.workloads {
		add(node{name: w.component(), namespace: ours, labels: w.Labels, ports: w.ports()})
	}
	other := func(name string) map[string]string { return map[string]string{"kubernetes.io/metadata.name": name} }
	add(node{name: "extractor", namespace: ours, labels: map[string]string{"app.kubernetes.io/component": "extractor"}, ports: map[string]int32{"grpc": 9000}})
	add(node{name: "dns", namespace: other("kube-system"), labels: map[string]string{"k8s-app": "kube-dns"}, ports: map[string]int32{"dns": 53}, protocol: corev1.ProtocolUDP})
	add(node{name: "client", namespace: map[string]string{"kubernetes.io/metadata.name": "app", "weircrawl.github.io/clients": "true"}})
	add(node{name: "stranger", namespace: other("default"), labels: map[string]string{"app.kubernetes.io/name": "weir", "app.kubernetes.io/component": "console"}, ports: map[string]int32{"grpc": 7070}})
	add(node{name: "keda", namespace: other("keda"), ports: map[string]int32{"http": 8080}})
	add(node{name: "monitoring", namespace: other("monitoring"), ports: map[string]int32{"otlp": 4317, "http": 9090}})
	return append(all, addresses()...)
}

// edges are what may talk to what, as "from -> to:port". Only traffic that one of our
// namespace's pods takes part in is ours to say.
func (s *set) edges() map[string]bool {
	all := map[string]bool{}
	nodes := s.nodes()
	for _, from := range nodes {
		for _, to := range nodes {
			if !isOurs(from) && !isOurs(to) || from.addr == to.addr && from.name != "scheduler" {
				continue
			}
			for name, port := range to.ports {
				if s.may(from, to, name, port) {
					all[fmt.Sprintf("%s -> %s:%d", from.name, to.name, port)] = true
				}
			}
		}
	}
	return all
}

func isOurs(n node) bool { return n.namespace["kubernetes.io/metadata.name"] == namespace }

// may judges one connection as a network plugin does: each side that some policy
// selects lets through only what one of these names.
func (s *set) may(from, to node, portName string, port int32) bool {
	selected := [2]bool{}
	passes := [2]bool{}
	for _, p := range s.policies {
		if isOurs(from) && hasType(p, networkingv1.PolicyTypeEgress) && labelled(&p.Spec.PodSelector, from.labels) {
			selected[0] = true
			for _, r := range p.Spec.Egress {
				passes[0] = passes[0] || peers(r.To, to) && portFits(r.Ports, to.protocol, portName, port)
			}
		}
		if isOurs(to) && hasType(p, networkingv1.PolicyTypeIngress) && labelled(&p.Spec.PodSelector, to.labels) {
			selected[1] = true
			for _, r := range p.Spec.Ingress {
				passes[1] = passes[1] || peers(r.From, from) && portFits(r.Ports, to.protocol, portName, port)
			}
		}
	}
	return (!selected[0] || passes[0]) && (!selected[1] || passes[1])
}

func hasType(p *networkingv1.NetworkPolicy, t networkingv1.PolicyType) bool {
	return slices.Contains(p.Spec.PolicyTypes, t)
}

// peers reports whether one of them is n; none means anybody.
func peers(all []networkingv1.NetworkPolicyPeer, n node) bool {
	return len(all) == 0 || slices.ContainsFunc(all, func(p networkingv1.NetworkPolicyPeer) bool {
		if b := p.IPBlock; b != nil {
			return netip.MustParsePrefix(b.CIDR).Contains(n.addr) && !slices.ContainsFunc(b.Except, func(e string) bool {
				return netip.MustParsePrefix(e).Contains(n.addr)
			})
		}
		if n.namespace == nil {
			return false
		}
		near := isOurs(n)
		if p.NamespaceSelector != nil {
			near = labelled(p.NamespaceSelector, n.namespace)
		}
		return near && (p.PodSelector == nil || labelled(p.PodSelector, n.labels))
	})
}

// portFits reports whether one of the ports is meant; none means all.
func portFits(all []networkingv1.NetworkPolicyPort, protocol corev1.Protocol, name string, port int32) bool {
	return len(all) == 0 || slices.ContainsFunc(all, func(p networkingv1.NetworkPolicyPort) bool {
		if p.Protocol != nil && *p.Protocol != protocol {
			return false
		}
		return p.Port == nil || p.Port.String() == name || p.Port.IntVal == port
	})
}

// labelled is what a selector says of labels.
func labelled(s *metav1.LabelSelector, labels map[string]string) bool {
	if !selects(s.MatchLabels, labels) {
		return false
	}
	for _, e := range s.MatchExpressions {
		v, ok := labels[e.Key]
		if e.Operator != metav1.LabelSelectorOpIn || !ok || !slices.Contains(e.Values, v) {
			return false // no other operator is used
		}
	}
	return true
}

// needed are the edges that the ring needs; see the picture in ARCHITECTURE.md.
func (s *set) needed() map[string]bool {
	have := map[string]bool{}
	for _, w := range s.workloads {
		have[w.component()] = true
	}
	want := map[string]bool{}
	add := func(from string, to ...string) {
		for f := range strings.FieldsSeq(from) {
			for _, t := range to {
				dst, _, _ := strings.Cut(t, ":")
				outside := slices.Contains([]string{"web", "ten", "dns", "extractor", "monitoring"}, dst)
				if (have[f] || f == "client" || f == "keda" || f == "monitoring") && (have[dst] || outside) {
					want[f+" -> "+t] = true
				}
			}
		}
	}
	const ring = "scheduler fetcher render parser storage"
	add("console", "scheduler:7070", "storage:7070", "fetcher:7070", "render:7070", "parser:7070")
	add("fetcher render parser", "storage:7070")
	add("scheduler", "scheduler:7070")
	add("client", "scheduler:7070", "storage:7070", "console:7090")
	add("parser", "extractor:9000")
	add(ring+" console topology migrate", "dns:53")
	add("fetcher render", "web:80", "web:443", "web:8443", "web:4222", "web:5432")
	add(ring+" topology", "nats:4222")
	add("scheduler storage migrate", "postgres:5432")
	add("storage", "s3:9000")
	if !have["nats"] { // they are outside, in the network of the installation
		add(ring+" topology", "ten:4222")
		add("scheduler storage migrate", "ten:5432")
		add("storage", "ten:443")
	}
	for _, p := range s.policies {
		switch p.Name {
		case "nats-from-keda":
			add("keda", "nats:8222")
		case "weir-from-monitoring":
			for w := range strings.FieldsSeq(ring + " console") {
				add("monitoring", w+":7080")
			}
			add(ring+" console topology migrate", "monitoring:4317")
		}
	}
	return want
}

// networkProblems compares what may be with what is needed.
func networkProblems(s *set) (bad []string) {
	want, got := s.needed(), s.edges()
	for _, e := range slices.Sorted(maps.Keys(got)) {
		if !want[e] {
			bad = append(bad, "may be, and need not: "+e)
		}
	}
	for _, e := range slices.Sorted(maps.Keys(want)) {
		if !got[e] {
			bad = append(bad, "is needed, and may not be: "+e)
		}
	}
	return bad
}
