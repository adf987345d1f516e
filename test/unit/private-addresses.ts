/** What nobody may make us talk to, in every spelling: for the outgoing HTTP of each runtime. */

const V4 = [
  '127.0.0.1',
  '10.1.2.3',
  '172.16.254.1',
  '192.168.0.10',
  '169.254.169.254',
  '100.64.0.1',
  '0.0.0.0',
]

/** Every spelling of an IPv4 address that a URL parser, a resolver or a kernel may understand. */
function spellings(address: string): string[] {
  const bytes = address.split('.').map(Number)
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  const number = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  const hex = number.toString(16).padStart(8, '0')
  const groups = `${hex.slice(0, 4)}:${hex.slice(4)}`
  return [
    address,
    `${address}.`,
    `${number}`,
    `0x${hex}`,
    `0X${hex.toUpperCase()}`,
    `0${number.toString(8)}`,
    bytes.map((byte) => `0${byte.toString(8)}`).join('.'),
    bytes.map((byte) => `0x${byte.toString(16)}`).join('.'),
    bytes.map((byte) => byte.toString().padStart(4, '0')).every((byte) => Number.parseInt(byte, 8) >= 0)
      ? `0x${a.toString(16)}.0${b.toString(8)}.${c}.${d}`
      : address,
    `${a}.${((b << 16) | (c << 8) | d) >>> 0}`,
    `${a}.${b}.${(c << 8) | d}`,
    address.replaceAll('.', '%2e'),
    address.replaceAll(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit))),
    address.replaceAll('.', '。'),
    `[::ffff:${address}]`,
    `[::ffff:${groups}]`,
    `[0:0:0:0:0:FFFF:${groups}]`,
    `[::${address}]`,
    `[::ffff:0:${address}]`,
    `[64:ff9b::${address}]`,
    `[64:ff9b:1::${address}]`,
    `[2002:${groups}::1]`,
    `[2001:0:${groups}::1]`,
  ]
}

const EDGES = [
  ...['0.0.0.1', '0.255.255.255', '10.0.0.0', '10.255.255.255', '100.64.0.0', '100.127.255.255'],
  ...[
    '100.100.100.200',
    '127.255.255.255',
    '127.1',
    '127.0.1',
    '169.254.0.0',
    '169.254.255.255',
    '172.16.0.0',
  ],
  ...['172.31.255.255', '192.0.0.1', '192.0.0.170', '192.0.2.0', '192.0.2.255', '192.88.99.1', '192.168.0.0'],
  ...['192.168.255.255', '198.18.0.0', '198.19.255.255', '198.51.100.7', '203.0.113.255', '224.0.0.1'],
  ...[
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.254',
    '255.255.255.255',
    '168.63.129.16',
    '0',
    '0x0',
    '00',
  ],
]

const V6 = [
  ...['::', '::1', '0:0:0:0:0:0:0:1', '0000::0001', '::ffff:0:0', 'fc00::', 'fdff:ffff::1', 'fd00:ec2::254'],
  ...[
    'fd20:ce::254',
    'fe80::1',
    'febf::1',
    'fec0::1',
    'ff01::1',
    'ff02::1',
    'ff0e::1',
    '100::1',
    '100:0:0:1::1',
  ],
  ...[
    '2001::1',
    '2001:2::1',
    '2001:10::1',
    '2001:20::1',
    '2001:1ff::1',
    '2001:db8::1',
    '2001:0DB8::1',
    '2002::1',
  ],
  ...['2002:c0a8:1::1', '3fff::1', '3fff:fff::1', '4000::1', '5f00::1', '8000::1', '64:ff9b::8.8.8.8'],
]

const NAMES = [
  ...['localhost', 'LOCALHOST', 'LocalHost.', 'localhost.', 'a.localhost', 'localhost.localdomain'],
  ...[
    'ip6-localhost',
    'loc%61lhost',
    'ｌocalhost',
    'metadata.google.internal',
    'instance-data',
    'rebind.example',
  ],
  ...['127.0.0.1.nip.example', 'kubernetes.default.svc', 'pbx.local', 'xn--bcher-kva.example', 'a_b.example'],
]

/** All of them. */
export const HOSTS = [...V4.flatMap(spellings), ...EDGES, ...V6.map((address) => `[${address}]`), ...NAMES]

/** URLs that are no HTTP. */
export const ODD = [
  ...['file:///etc/passwd', 'ftp://127.0.0.1/', 'gopher://127.0.0.1:6379/_FLUSHALL', 'data:text/plain,x'],
  ...['dict://127.0.0.1/', 'ldap://127.0.0.1/', 'jar:http://127.0.0.1!/', 'javascript:1', 'ws://127.0.0.1/'],
  ...[
    'unix:/var/run/docker.sock:/info',
    'http+unix://%2fvar%2frun%2fdocker.sock/',
    'blob:http://127.0.0.1/x',
  ],
  ...['about:blank', 'tftp://127.0.0.1/', 'mailto:a@b', 'http2://127.0.0.1/'],
]

/** URLs that mean to be read in two ways; PORT is to be filled in. */
export const TRICKS = [
  'http://public.example@127.0.0.1:PORT/',
  'http://public.example:80@127.0.0.1:PORT/',
  'http://user:pass@localhost:PORT/',
  'http://127.0.0.1:PORT#@public.example/',
  'http://127.0.0.1:PORT?@public.example/',
  'http://127.0.0.1:PORT\\@public.example/',
  'http:\\\\127.0.0.1:PORT\\',
  'http:/127.0.0.1:PORT/',
  'http:127.0.0.1:PORT',
  'HTTP://127.0.0.1:PORT/',
  ' http://127.0.0.1:PORT/ ',
  'ht\ntp://127.0.\t0.1:PORT/',
  'http://127.0.0.1:00PORT/',
  'http://[::1]:PORT/',
  'http://unix:/var/run/docker.sock:/info',
  'http://%31%32%37.0.0.1:PORT/',
  'http://127.0.0.1\u200b:PORT/',
  'http://①②⑦.0.0.1:PORT/',
]
