// Command image writes a container image of weir without a daemon, a registry or
// root: a few files that every image needs, the packages named with -deb, and the
// programs given. Equal inputs give equal bytes (ADR-0032).
//
//	image -name ghcr.io/weircrawl/weir:1.2.3 -o weir.tar -sbom weir.spdx.json linux/amd64=bin/weir
//
// The archive is an OCI image layout and, in the same file, what docker load reads;
// it holds one image for each platform. Beside it goes an SPDX document with the Go
// modules and Debian packages inside, read from the program and the packages themselves.
//
// In an image:
//
//	/weir                  the program; of several, the first is run
//	/etc/ssl/certs/…       Mozilla's roots, from golang.org/x/crypto/x509roots
//	/usr/share/zoneinfo/…  the time zones of the Go toolchain
//	/etc/passwd, group     root and nonroot (65532), who runs the program
//	/tmp                   which is all that the program may need to write to
package main
