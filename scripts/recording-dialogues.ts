/**
 * What is said in the sample recordings, and what an analysis of each would find. Invented throughout: no person, no
 * company; every phone number is reserved for fiction.
 */
import type { CarriedTranscript } from '../src/sandbox/recordings.ts'

export type Dialogue = Omit<CarriedTranscript, 'transcript' | 'durationMs'> & {
  name: string
  /** espeak-ng voices; the pitch tells two voices of one language apart. */
  voices: { agent: string; customer: string }
  tags: { agent: string; customer: string }
  /** Turns in order; `agent` and `customer` take turns, the agent first. */
  lines: string[]
  /** Also as 8 kHz µ-law WAV, the way many phone systems record. */
  wav?: true
}

const ENGLISH = { agent: 'en-gb', customer: 'en-us+f3' }
const TAGS = { agent: 'operator', customer: 'client' }

export const DIALOGUES: Dialogue[] = [
  {
    name: 'support-invoice',
    language: 'en',
    voices: ENGLISH,
    tags: TAGS,
    title: 'Customer was invoiced twice for November',
    summary:
      'The customer received two invoices for November. The agent found the duplicate, cancelled it and promised a confirmation by email today.',
    sentiment: 'neutral',
    topics: ['invoice', 'duplicate charge'],
    actions: ['Send the cancellation of the second November invoice by email today'],
    lines: [
      'Accounts support, good morning. How can I help?',
      'Hello. I have two invoices for November, for the same amount.',
      'I see both. The second one is a duplicate. I have cancelled it just now.',
      'Good. Can I have that in writing?',
      'Of course. You will get an email today.',
      'Thank you. Goodbye.',
    ],
  },
  {
    name: 'sales-enquiry',
    language: 'en',
    voices: ENGLISH,
    tags: TAGS,
    title: 'Enquiry about the team plan for twelve people',
    summary:
      'The caller wants the team plan for twelve people and asks for a discount on yearly payment. The agent offers ten percent and will send a quote; the caller will decide on Friday.',
    sentiment: 'positive',
    topics: ['team plan', 'price', 'yearly payment'],
    actions: ['Send a quote for twelve seats with ten percent off', 'Call back on Friday'],
    lines: [
      'Sales, hello. What can I do for you?',
      'Hi. We are twelve people and we like the team plan. Is it cheaper if we pay yearly?',
      'Yes, ten percent. Shall I send you a quote?',
      'Please do. We decide on Friday.',
      'Great, I will call you on Friday then.',
    ],
  },
  {
    name: 'complaint-delivery',
    language: 'en',
    voices: ENGLISH,
    tags: TAGS,
    title: 'Complaint about a delivery that is two weeks late',
    summary:
      'The customer is angry: the order is two weeks late and nobody answered three emails. The agent apologised, found the parcel in the depot and passed the case to a supervisor for a refund of the delivery fee.',
    sentiment: 'negative',
    topics: ['late delivery', 'no answer to emails', 'refund'],
    actions: ['Supervisor to call the customer today', 'Refund the delivery fee'],
    lines: [
      'Customer service, good afternoon.',
      'My order is two weeks late, and nobody answers my emails. I wrote three times!',
      'I am very sorry. Your parcel is still at the depot.',
      'That is not acceptable. I want the delivery fee back.',
      'I understand. My supervisor will call you today about the refund.',
    ],
  },
  {
    name: 'appointment-change',
    language: 'en',
    voices: ENGLISH,
    tags: TAGS,
    title: 'Appointment moved from Tuesday to Thursday',
    summary: 'The customer cannot come on Tuesday. The appointment is now on Thursday at ten.',
    sentiment: 'positive',
    topics: ['appointment'],
    actions: ['Move the appointment to Thursday at ten'],
    wav: true,
    lines: [
      'Reception, hello.',
      'Hi, I cannot come on Tuesday. Is Thursday free?',
      'Thursday at ten?',
      'Perfect, thank you.',
    ],
  },
  {
    name: 'russian-tariff',
    language: 'ru',
    voices: { agent: 'ru', customer: 'ru+f3' },
    tags: { agent: 'оператор', customer: 'клиент' },
    title: 'Вопрос о смене тарифа',
    summary:
      'Клиент хочет перейти на тариф подешевле. Оператор предложил базовый тариф с первого числа, клиент согласился.',
    sentiment: 'positive',
    topics: ['тариф', 'стоимость'],
    actions: ['Перевести клиента на базовый тариф с первого числа'],
    lines: [
      'Добрый день, чем могу помочь?',
      'Здравствуйте. Мой тариф слишком дорогой. Есть что-нибудь дешевле?',
      'Да, базовый тариф. Могу включить его с первого числа.',
      'Хорошо, включите, пожалуйста.',
      'Готово. Всего доброго!',
    ],
  },
  {
    name: 'very-short',
    language: 'en',
    voices: ENGLISH,
    tags: TAGS,
    title: 'Wrong number',
    summary: 'The caller dialled a wrong number.',
    sentiment: 'neutral',
    topics: [],
    actions: [],
    wav: true,
    lines: ['Front desk, hello.', 'Oh sorry, wrong number.'],
  },
]
