import { connector as twilio } from '../../connectors/twilio/connector.ts'
import { connector as zadarma } from '../../connectors/zadarma/connector.ts'
import { connectorKit } from '../kit/connector.ts'
connectorKit(twilio, new URL('../../connectors/twilio/', import.meta.url))
connectorKit(zadarma, new URL('../../connectors/zadarma/', import.meta.url))
