// An extractor for Weir in JavaScript: it makes an item of each heading of a page and
// asks for the page that a list continues on.
//
//   node extractor.js 127.0.0.1:9000

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import grpc from '@grpc/grpc-js'
import loader from '@grpc/proto-loader'

const protos = join(dirname(fileURLToPath(import.meta.url)), '../../../proto')
const definition = loader.loadSync('weir/extractor/v1/extractor.proto', { includeDirs: [protos], keepCase: true })
const { ExtractorService } = grpc.loadPackageDefinition(definition).weir.extractor.v1

const heading = /<(h[12])\b[^>]*>(.*?)<\/\1>/gis
const more = /<span\b[^>]*\bdata-more="([^"]*)"/gi

// extract reads one page. It may be called for several at a time, and twice for one.
function extract (call) {
  const page = call.request
  const text = page.body.toString('utf8')
  if (page.content_type !== 'text/html') { // nothing to find; that is no error
    call.end()
    return
  }
  if (text.includes('POISON')) {
    // The page becomes a dead letter with this text, and its URL has failed.
    call.emit('error', { code: grpc.status.INVALID_ARGUMENT, details: 'the page has POISON in it' })
    return
  }
  for (const [, level, inner] of text.matchAll(heading)) {
    const plain = inner.replace(/<[^>]*>/g, '').trim()
    // As JSON the fields keep their order.
    const fields = { level, text: plain, length: [...plain].length }
    call.write({ item: { rule: 'heading', json: Buffer.from(JSON.stringify(fields)) } })
  }
  for (const [, url] of text.matchAll(more)) {
    call.write({ request: { url, pagination: true } })
  }
  call.end()
}

// Pages may be as long as a spec allows, and there is something around them.
const server = new grpc.Server({ 'grpc.max_receive_message_length': 65 * 1024 * 1024 })
server.addService(ExtractorService.service, { Extract: extract })
const address = process.argv[2] ?? '127.0.0.1:9000'
server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (err, port) => {
  if (err) {
    console.error(err.message)
    process.exit(1)
  }
  console.log(`listening on ${address.replace(/:\d+$/, '')}:${port}`)
})
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => server.tryShutdown(() => process.exit(0))) // pages in hand are finished
}
