// Prints the records of a WARC file, one JSON object a line, as warcio reads them, with
// the digest of each payload as it finds it.
import { createReadStream } from 'node:fs'
import { createHash } from 'node:crypto'
import { WARCParser } from 'warcio'

for await (const r of new WARCParser(createReadStream(process.argv[2]), { strictHeaders: true })) {
  const payload = await r.readFully(true) ?? new Uint8Array()
  console.log(JSON.stringify({
    type: r.warcType,
    uri: r.warcTargetURI,
    id: r.warcHeader('WARC-Record-ID'),
    concurrent: r.warcHeader('WARC-Concurrent-To') ?? undefined,
    digest: r.warcPayloadDigest ?? '',
    found: 'sha256:' + createHash('sha256').update(payload).digest('hex'),
    method: r.httpHeaders?.method ?? '',
    payload: Buffer.from(payload).toString('base64')
  }))
}
