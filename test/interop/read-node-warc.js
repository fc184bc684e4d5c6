// Prints the records of a WARC file, one JSON object a line, as node-warc reads them.
const { createReadStream } = require('node:fs')
const { createGunzip } = require('node:zlib')
const WARCStreamTransform = require('node-warc/lib/parsers/warcStreamTransform')

// Its payloads have the line end behind the block, which is the record's.
const payload = (r) => r.content ? r.content.subarray(0, r.content.length - 2) : Buffer.alloc(0)

const records = new WARCStreamTransform()
// It calls back twice at its end, which Node refuses since version 14: there is nothing
// behind it that could get lost.
const flush = records._flush.bind(records)
records._flush = (done) => { let n = 0; flush((...args) => { if (n++ === 0) done(...args) }) }
records.on('data', (r) => console.log(JSON.stringify({
  type: r.warcType,
  uri: r.warcTargetURI,
  id: r.warcRecordID,
  payload: payload(r).toString('base64')
})))
const fail = (e) => { console.error(e); process.exit(1) }
createReadStream(process.argv[2]).on('error', fail).pipe(createGunzip()).on('error', fail).pipe(records).on('error', fail)
