// Package access says who may call what.
//
//	who    a token (authorization: Bearer …), a JWT of an OIDC issuer, or the certificate
//	       of a service (URI spiffe://weir/SERVICE); see Caller
//	what   one table of every RPC and the least role for it; see Rule
//	how    quotas of a caller, and what its specs may use; see Quotas and Specs
//	trace  one line for each call that changes something; see Audit
//
// Where no tokens, no issuer and no authority of clients are configured everything is
// open, as on a laptop. The package decides; the package rpc has the interceptors that
// ask it. What is decided by time takes the time as an argument.
package access
