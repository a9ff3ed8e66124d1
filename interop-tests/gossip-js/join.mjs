// Joins the gossip of a Pli node as a node of the directory would, with js-libp2p.
//
// usage: node join.mjs --key FILE --peer IP:PORT --peer-key ed25519:… --log-key ed25519:… [--topic TOPIC --say FILE]
//
//   --key       a node's secret key file, whose public half the directory of the other lists
//   --peer      where the other gossips (UDP)
//   --peer-key  its node key
//   --log-key   the key that signs its log; repeat
//   --say       publish the bytes of FILE under --topic once a checkpoint was heard, and stay until stdin ends
//
// Prints one JSON line for each thing that happens: `joined`, `last` (GOS-5.1), `checkpoint` (heard by gossipsub and verified),
// `said`. Ends with 0 after the first checkpoint, or when stdin ends if it had something to say; with 1 and the reason otherwise.
import './node20.mjs'
import { createHash, createPublicKey, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { gossipsub } from '@chainsafe/libp2p-gossipsub'
import { quic } from '@chainsafe/libp2p-quic'
import { privateKeyFromRaw, publicKeyFromRaw } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { checkpoint } from './note.mjs'

// As in spec/gossip.md and spec/registry/limits.toml.
const TOPICS = ['pli/1/trust', 'pli/1/checkpoints', 'pli/1/alerts']
const LAST = '/pli/1/last'
const GOSSIP_MESSAGE_MAX = 16384
const GOSSIP_LAST_MAX = 8192
const PATIENCE_MS = 60_000
const DIALS_MAX = 10
const REDIAL_MS = 500

const { values: options } = parseArgs({
  options: {
    key: { type: 'string' },
    peer: { type: 'string' },
    'peer-key': { type: 'string' },
    'log-key': { type: 'string', multiple: true },
    topic: { type: 'string' },
    say: { type: 'string' }
  }
})

const tell = (what) => process.stdout.write(JSON.stringify(what) + '\n')

const publicKey = (text) => {
  const bytes = Buffer.from(text.replace(/^ed25519:/, ''), 'base64url')
  if (bytes.length !== 32) throw new Error(`not a public key: ${text}`)
  return bytes
}

/** SIG-4.4: a line of text; libp2p wants the seed and the public key, one after the other. */
const identity = (file) => {
  const seed = Buffer.from(readFileSync(file, 'utf8').trim().replace(/^pli-secret-ed25519:/, ''), 'base64url')
  if (seed.length !== 32) throw new Error(`${file}: not a secret key`)
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const secret = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' })
  return privateKeyFromRaw(Buffer.concat([seed, spki.subarray(-32)]))
}

/** GOS-2.3 */
const messageId = ({ topic, data }) => createHash('sha256').update(topic).update(Buffer.from([0])).update(data).digest()

/** GOS-5.1: asks for the last words, and takes them apart. */
async function lastWords (node, peer) {
  const stream = await node.dialProtocol(peer, LAST)
  await stream.closeWrite()
  const chunks = []
  for await (const chunk of stream.source) chunks.push(Buffer.from(chunk.subarray()))
  const all = Buffer.concat(chunks)
  const said = []
  for (let at = 0; at < all.length;) {
    const [topic, length] = [TOPICS[all.readUInt8(at) - 1], all.readUInt32BE(at + 1)]
    const payload = all.subarray(at + 5, at + 5 + length)
    if (topic === undefined || length > GOSSIP_MESSAGE_MAX || payload.length !== length || said.length === GOSSIP_LAST_MAX) {
      throw new Error('last words that are not as GOS-5.1 says')
    }
    said.push({ topic, payload })
    at += 5 + length
  }
  return said
}

/** GOS-1.6: while the other still holds a former connection with this key, the first dial ends both, and the next one stands. */
async function connect () {
  for (let left = DIALS_MAX; ; left--) {
    try {
      await node.dial(multiaddr(`/ip4/${host}/udp/${port}/quic-v1/p2p/${peer}`))
      return await lastWords(node, peer)
    } catch (error) {
      if (left === 0) throw error
      await setTimeout(REDIAL_MS)
    }
  }
}

const logKeys = (options['log-key'] ?? []).map(publicKey)
const separator = options.peer.lastIndexOf(':')
const [host, port] = [options.peer.slice(0, separator), options.peer.slice(separator + 1)]
// GOS-1.1: the name of the other is made of its node key alone.
const peer = peerIdFromPublicKey(publicKeyFromRaw(publicKey(options['peer-key'])))

const node = await createLibp2p({
  privateKey: identity(options.key),
  transports: [quic()],
  services: {
    identify: identify(),
    pubsub: gossipsub({ globalSignaturePolicy: 'StrictSign', msgIdFn: messageId, asyncValidation: true })
  }
})
const { pubsub } = node.services

const heard = new Promise((resolve, reject) => {
  setTimeout(PATIENCE_MS, null, { ref: false }).then(() => reject(new Error(`no checkpoint within ${PATIENCE_MS} ms`)))
  pubsub.addEventListener('gossipsub:message', ({ detail: { msg, msgId, propagationSource } }) => {
    let verdict = 'ignore'
    if (msg.topic === 'pli/1/checkpoints') {
      try {
        const found = checkpoint(Buffer.from(msg.data).toString('utf8'), logKeys)
        tell({ event: 'checkpoint', from: propagationSource.toString(), ...found })
        verdict = 'accept'
        resolve()
      } catch (error) {
        // Of a log whose key it was not given.
        tell({ event: 'ignored', topic: msg.topic, because: error.message })
      }
    }
    pubsub.reportMessageValidationResult(msgId, propagationSource, verdict)
  })
})
heard.catch(() => {})

try {
  for (const topic of TOPICS) pubsub.subscribe(topic)
  const last = await connect()
  tell({ event: 'joined', as: node.peerId.toString(), to: peer.toString() })
  for (const { topic, payload } of last) {
    const known = { event: 'last', topic, bytes: payload.length }
    if (topic === 'pli/1/trust') known.version = JSON.parse(payload.toString('utf8')).signed.version
    tell(known)
  }
  await heard
  if (options.say !== undefined) {
    const { recipients } = await pubsub.publish(options.topic, readFileSync(options.say))
    tell({ event: 'said', topic: options.topic, to: recipients.map((one) => one.toString()) })
    for await (const _ of process.stdin);
  }
  await node.stop()
  // The loop of native QUIC goes on after the last connection.
  process.exit(0)
} catch (error) {
  process.stderr.write(`join.mjs: ${error.stack}\n`)
  process.exit(1)
}
