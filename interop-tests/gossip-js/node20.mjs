// What libp2p's packages take for granted and Node.js 20 does not have yet. Import it first.
Promise.withResolvers ??= function () {
  const made = {}
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}
