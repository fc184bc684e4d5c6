// Package certs keeps certificates fresh: a certificate, its key and the authority of
// the other side are read from files at every handshake, so that files which were
// replaced (by weir certs renew, cert-manager, the secrets of Kubernetes) are used by
// the next connection, without a restart and without a watcher.
//
// Who is on the other side is told by an identity in its certificate, a URI like
// spiffe://weir/storage, and only where it has none by the name of its host.
package certs
