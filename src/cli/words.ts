/** Text from outside as it may stand on a terminal: control, format and direction characters become `?`. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?')

const units = ['B', 'kB', 'MB', 'GB', 'TB']

/** `12.3 MB`: powers of 1000. */
export const inBytes = (bytes: number): string => {
  let value = bytes
  let unit = 0
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** `1 file`, `2 files`. */
export const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`
