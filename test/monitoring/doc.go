// Package monitoring makes the dashboards for Grafana and what Kubernetes is given of them
// and of the alert rules, and its tests hold them against the metrics that there are.
//
//	dashboards.go, panels_*.go   what is shown
//	grafana.go                   as Grafana reads it
//	kubernetes.go                as objects of prometheus-operator and of Grafana's sidecar
//
// make gen writes the files.
package monitoring
