// Package gateway is the API over HTTP: REST and JSON below /api/v1/, the document about it
// at /openapi.json. It calls gRPC with the token of whoever asks, and keeps nothing.
//
//   - Most paths are RPCs by the rules of proto/gateway.yaml; the code is generated. Streams of
//     the server are lines of JSON, {"result": …} or at last {"error": …}.
//   - What is bytes or lines rather than messages is written here: seeds, items, bodies,
//     files, exports, and specs as YAML.
//   - Errors are google.rpc.Status as JSON, with the code of HTTP that fits.
//
// A caller shows a token in the header Authorization, and in nothing that a browser sends by
// itself: no cookie counts here, and requests that a page of another origin makes are
// refused, since on a laptop no token is asked for.
package gateway
