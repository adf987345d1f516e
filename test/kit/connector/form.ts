import { describe, expect, test } from 'vitest'
import { normalisePhone } from '../../../src/call/phone.ts'
import type { Connector } from '../../../src/connector/contract.ts'
import { type Fixture, rawOf, type Subject } from './fixtures.ts'

const FILES = ['connector.ts', 'schema.ts', 'map.ts', 'client.ts', 'sandbox.ts', 'README.md', 'fixtures']
/**
 * `operations.ts` where the API does more than calls need; what a language model is asked, and how its answer is held to
 * that; a folder beside the file of its name where one file is not enough; what the operator installs on the phone system.
 */
const MAY_ALSO_HOLD = [
  'operations.ts',
  'prompt.ts',
  'answer.ts',
  'operations',
  'sandbox',
  'client',
  'map',
  'inbound',
  'pbx',
]
const REQUIRED = ['connector.ts', 'schema.ts', 'map.ts', 'sandbox.ts', 'README.md', 'fixtures']
const SECTIONS = ['Set-up', 'Permissions', 'What is not documented']

/** Numbers that no subscriber has, by the regulators' own lists (ITU-T has no list of its own). */
const FICTION: Record<string, readonly RegExp[]> = {
  'nobody’s: nothing but zeros': [/^\+\d{1,4}0{7,}$/],
  'NANP 555-0100 to 0199': [/^\+1\d{3}55501\d\d$/],
  'France, Arcep 2018-0881': [/^\+33(?:19900|26191|35301|46571|53649|63998)\d{4}$/],
  'United Kingdom, Ofcom': [
    /^\+447700900\d{3}$/,
    /^\+442079460\d{3}$/,
    /^\+441632960\d{3}$/,
    /^\+441\d{2}4960\d{3}$/,
    /^\+448081570\d{3}$/,
  ],
  'Germany, BNetzA': [/^\+49(?:3023125|6990009|4066969|2214710|8999998)\d{3}$/, /^\+4917139200\d\d$/],
  'Australia, ACMA': [/^\+61[2378](?:5550|7010)\d{4}$/, /^\+6149157\d{4}$/],
  'Ireland, ComReg': [/^\+3532091\d{5}$/],
  'Sweden, PTS': [/^\+46(?:313900|406280|84650)\d{3,4}$/, /^\+46701740\d{3}$/],
}

/** A reviewer opens the thirtieth connector already knowing where to look. */
export function formTests(subject: Subject): void {
  const { connector, folder } = subject
  const { id } = connector
  describe('form', () => {
    test('the folder holds the files of a connector and no others', () => {
      expect(folder.files.filter((file) => ![...FILES, ...MAY_ALSO_HOLD].includes(file))).toEqual([])
      expect(REQUIRED.filter((file) => !folder.files.includes(file))).toEqual([])
    })

    test('the id is the folder’s name', () => {
      expect(folder.name).toBe(id)
    })

    test('the README begins with id, name, roles, docs and the date of verification', () => {
      const head = frontMatter(folder.readme)
      expect(head).toMatchObject({ id, name: connector.name, docs: connector.docs })
      expect(rolesOf(head.roles)).toEqual(rolesIn(connector))
      expect(connector.docs, 'the vendor’s own documentation').not.toMatch(/\bexample\.(?:com|org|net)\b/)
      expect(head.verified).toMatch(/^\d{4}-\d\d-\d\d$/)
    })

    test('the README says how to set it up, which permissions it needs and what is not documented', () => {
      const sections = new Map(
        folder.readme
          .split(/^## +/m)
          .slice(1)
          .map((section): [string, string] => {
            const [heading = '', ...lines] = section.split('\n')
            return [heading.trim(), lines.join(' ').trim()]
          }),
      )
      expect(SECTIONS.filter((section) => !sections.get(section))).toEqual([])
    })

    test('connection.json is a working configuration', () => {
      const error = connector.config.safeParse(subject.settings).error
      expect(error?.message).toBeUndefined()
      expect(Object.keys(folder.fixtures)).toContain('connection.json')
    })

    test('every fixture is of the known format', () => {
      expect(subject.broken).toEqual([])
    })

    test('every fixture says where it comes from and when', () => {
      const without = subject.fixtures.filter((fixture) => !/\d{4}/.test(fixture.provenance))
      expect(without.map((fixture) => fixture.file)).toEqual([])
    })

    test('no fixture holds a number that somebody could have', () => {
      const real = subject.fixtures.filter((fixture) => !isExcused(fixture)).flatMap(realNumbers)
      expect(real, 'use a range for fiction, or say in `numbers` which vendor document has it').toEqual([])
    })

    test('no fixture holds a live key', () => {
      const live = subject.fixtures.filter((fixture) =>
        /sk_live_|xox[abp]-\d|AKIA[A-Z\d]{16}|-----BEGIN (?:RSA |EC )?PRIVATE/.test(JSON.stringify(fixture)),
      )
      expect(live.map((fixture) => fixture.file)).toEqual([])
    })
  })
}

function frontMatter(text: string): Record<string, string> {
  const [, head = ''] = /^---\r?\n(.*?)\r?\n---\r?\n/s.exec(text) ?? []
  const lines = head.split(/\r?\n/).map((line) => /^(\w+): *(.*?) *$/.exec(line))
  return Object.fromEntries(
    lines.flatMap((line) => (line?.[1] ? [[line[1], (line[2] ?? '').replace(/^["']|["']$/g, '')]] : [])),
  )
}

const rolesOf = (text = ''): string[] =>
  text
    .split(/[^a-z]+/)
    .filter(Boolean)
    .sort()

const rolesIn = (connector: Connector): string[] =>
  (['analysis', 'crm', 'telephony'] as const).filter((role) => connector[role] !== undefined)

/** An opt-out needs its reason in the provenance. */
const isExcused = (fixture: Fixture): boolean => fixture.numbers !== undefined || fixture.vectors === true

function realNumbers(fixture: Fixture): string[] {
  const { url, body } = rawOf(fixture)
  const texts = [url, new TextDecoder().decode(body), JSON.stringify(fixture.expect)]
  const numbers = texts.flatMap((text) =>
    [...text.matchAll(/(?:\+|%2B)([1-9]\d{7,14})(?!\d)/gi)].map((match) => `+${match[1]}`),
  )
  const fiction = Object.values(FICTION).flat()
  const real = new Set(
    // What a keypad makes of ANONYMOUS is written like a number, and is none.
    numbers.filter(
      (number) => normalisePhone(number).kind === 'e164' && !fiction.some((range) => range.test(number)),
    ),
  )
  return [...real].map((number) => `${fixture.file}: ${number}`)
}
