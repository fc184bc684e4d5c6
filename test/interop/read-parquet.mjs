// Prints the rows of a Parquet file, one JSON object a line, as hyparquet reads them: what
// is null is left out, times are in ISO 8601.
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

const plain = (key, v) => typeof v === 'bigint' ? Number(v) : v ?? undefined

const file = await asyncBufferFromFile(process.argv[2])
for (const row of await parquetReadObjects({ file, compressors })) console.log(JSON.stringify(row, plain))
