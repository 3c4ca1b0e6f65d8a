/*
 * Loaded before the api and the worker that `exhibit up` starts (`node --import`). The kernel closes the channel to the
 * supervisor when that ends, however it ends, and this process then stops as if it had been told to.
 */
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// The channel alone keeps nothing alive.
process.channel?.unref()
