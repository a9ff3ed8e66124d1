// A checkpoint of a log as c2sp.org/tlog-checkpoint and c2sp.org/signed-note say, read by nothing of Pli.
import { createHash, createPublicKey, verify } from 'node:crypto'

const ED25519 = 0x01
const SIGNATURE_LINE = /^— (\S+) ([A-Za-z0-9+/]+=*)$/
// Ed25519 as a SubjectPublicKeyInfo (RFC 8410): this, and the 32 bytes of the key.
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

/** Ed25519 public key of 32 bytes, for node:crypto. */
const publicKey = (bytes) => createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: 'der', type: 'spki' })

/** What a signature line begins with: the key hash of signed-note. */
const keyHash = (name, key) =>
  createHash('sha256').update(name).update('\n').update(Buffer.from([ED25519])).update(key).digest().subarray(0, 4)

/**
 * Reads a note, whose first line is `<authority>/log/<start>`, and verifies that one of the keys (32 bytes each) signed it under
 * that name. Returns what it says; throws an Error that says what is wrong.
 */
export function checkpoint (note, keys) {
  const end = note.indexOf('\n\n')
  if (end < 0 || !note.endsWith('\n')) throw new Error('not a signed note')
  const text = note.slice(0, end + 1)
  const [origin, size, root, ...more] = text.slice(0, -1).split('\n')
  if (more.length > 0) throw new Error(`a checkpoint of Pli has three lines, this has ${3 + more.length}`)
  if (!/^[a-z0-9.-]+\/log\/[1-9][0-9]*$/.test(origin)) throw new Error(`not the origin of a log: ${origin}`)
  if (!/^(0|[1-9][0-9]*)$/.test(size)) throw new Error(`not a size: ${size}`)
  if (Buffer.from(root ?? '', 'base64').length !== 32) throw new Error(`not a root: ${root}`)
  const lines = note.slice(end + 2, -1).split('\n').map((line) => {
    const parts = SIGNATURE_LINE.exec(line)
    if (parts === null) throw new Error(`not a signature line: ${line}`)
    return { name: parts[1], bytes: Buffer.from(parts[2], 'base64') }
  })
  const signed = lines.some(({ name, bytes }) =>
    name === origin && keys.some((key) =>
      bytes.length === 68 && bytes.subarray(0, 4).equals(keyHash(name, key)) &&
      verify(null, Buffer.from(text), publicKey(key), bytes.subarray(4))))
  if (!signed) throw new Error(`not signed by a key of ${origin}`)
  const witnesses = lines.filter(({ name }) => name !== origin).map(({ name }) => name)
  return { origin, size: Number(size), root, witnesses }
}
