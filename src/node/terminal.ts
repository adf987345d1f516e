/**
 * Text of strangers on somebody's terminal: a caller's name, a vendor's words, a summary. What the terminal would obey
 * (escape sequences, cursor, writing direction) becomes spaces. Colours are the one thing that we write ourselves.
 */

const OBEYED = /[\p{Cc}\p{Bidi_Control}]/gu
/** With what follows when it is bold, dim or a colour of `styleText`: none of these hides anything. */
const PERHAPS_OURS = /\p{Cc}(?:\[(?:1|2|22|3[1-79]|90)m)?|\p{Bidi_Control}/gu
const ESCAPE = '\u001b['

/** On one line. */
export const onOneLine = (text: string): string => text.replaceAll(OBEYED, ' ')

/** Lines of our own making, painted. */
export const asPrinted = (text: string): string =>
  text.replaceAll(PERHAPS_OURS, (found) =>
    found === '\n' || found.startsWith(ESCAPE) ? found : ` ${found.slice(1)}`,
  )
