const everyMs = 500

/**
 * Calls `ended` when the npm that runs this process is gone: one that is told to stop ends its shell, and the shell does not
 * pass that on. Without npm the parent may go, as after `nohup`, and nothing is called.
 */
export const onNpmEnd = (ended: () => void): void => {
  if (process.env.npm_lifecycle_event === undefined) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    ended()
  }, everyMs).unref()
}
