// Package manifests checks deploy/k8s: that kustomize builds it, that every object is
// what Kubernetes' own types say it is, with no field that they do not know, and that
// the rules hold which a cluster would not tell: who reaches whom, what a pod may do,
// whether it has the time to drain.
//
// Each rule is a function over all objects of one build, so that TestBroken can show
// on broken objects that it bites. With -tags long, TestAPIServer applies every build
// to a real etcd and kube-apiserver; `make k8s-api` builds those first.
//
// The module is one of its own, since nothing else of Weir needs Kubernetes' types.
package manifests
