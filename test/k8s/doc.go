// Package k8s tries the manifests of deploy/k8s on a real cluster: any that KUBECTL
// reaches, with NATS, PostgreSQL and S3 beside it or inside. Its tests have the build tag
// k8s and run by make e2e-k8s; README.md says what they need and what they have shown.
//
// All of them share one installation, which TestMain makes and takes away.
package k8s
