// Generated from resonaa.yaml by scripts/generate-vendor-types.ts. Do not edit.

export interface paths {
    "/api/{subject}/chat": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A message with the id of its context (agent, call or ticket); the answer is text. */
        post: operations["chat"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/add-calls": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Audio as a file or as a link. Queued for transcription and analysis; seen under Calls. */
        post: operations["addCall"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/addcallurl": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Audio as a link, which Resonaa downloads and stores. Seen under Calls. */
        post: operations["addCallByUrl"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/crm/customers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** One customer, an array, or CSV. Stages, custom fields, tags and duplicate detection are supported. */
        post: operations["addCustomers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/resona/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A sheet in three phases (create a job with a schema, send rows in batches, finalise). Seen under Resonaa Sort. */
        post: operations["uploadSheet"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tickets/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A conversation as text, which may be assigned to an agent; customer names are detected. Seen under Tickets. */
        post: operations["uploadTicket"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description Key of the company. It travels in the body, not in a header. */
        ApiKey: string;
        /** @description No field is documented. */
        AsGiven: {
            api_key: components["schemas"]["ApiKey"];
        } & {
            [key: string]: unknown;
        };
        CallAdded: {
            audio_url: string;
            /** @description UUID */
            call_id: string;
            duration_seconds: number;
            message: string;
            processing_time_ms: number;
            success: boolean;
        };
        /** @description MP3, WAV, M4A, WebM or MP4 of at most 500 MB (100 in the older edition). */
        CallByForm: components["schemas"]["CallFields"] & ({
            call: string;
        } | {
            audio_url: string;
        });
        CallByUrl: components["schemas"]["CallFields"] & {
            /** @description Here it is call_url, in the form audio_url. */
            call_url: string;
        };
        CallFields: {
            api_key: components["schemas"]["ApiKey"];
            /** @description Display name of the customer or account. */
            customer_name?: string;
            /** @description External id of the agent; resolved to user_id when possible. */
            extension_id?: string;
            /** @description External reference, stored as worker_id. */
            order_id?: string;
            /** @description Internal UUID of the agent. */
            user_id?: string;
        };
        Customers: {
            api_key: components["schemas"]["ApiKey"];
            customers: {
                [key: string]: unknown;
            }[];
        };
        CustomersCsv: {
            api_key: components["schemas"]["ApiKey"];
            csv: string;
        };
        CustomersFile: {
            api_key: components["schemas"]["ApiKey"];
        } & {
            [key: string]: unknown;
        };
        KeyAlone: {
            api_key: components["schemas"]["ApiKey"];
        };
    };
    responses: {
        /** @description Refused */
        Refused: {
            headers: {
                [name: string]: unknown;
            };
            content?: never;
        };
        /** @description Neither success nor failure is shown. */
        Unknown: {
            headers: {
                [name: string]: unknown;
            };
            content?: never;
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    chat: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The page writes /api/*\/chat, and names chatbot, calls, tickets and reports. */
                subject: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AsGiven"];
            };
        };
        responses: {
            default: components["responses"]["Unknown"];
        };
    };
    addCall: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["CallByForm"];
            };
        };
        responses: {
            /** @description Queued */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallAdded"];
                };
            };
            default: components["responses"]["Refused"];
        };
    };
    addCallByUrl: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CallByUrl"] | components["schemas"]["KeyAlone"];
            };
        };
        responses: {
            /** @description Queued */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallAdded"];
                };
            };
            default: components["responses"]["Refused"];
        };
    };
    addCustomers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Customers"] | components["schemas"]["CustomersCsv"] | components["schemas"]["AsGiven"];
                "multipart/form-data": components["schemas"]["CustomersFile"];
            };
        };
        responses: {
            default: components["responses"]["Unknown"];
        };
    };
    uploadSheet: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AsGiven"];
            };
        };
        responses: {
            default: components["responses"]["Unknown"];
        };
    };
    uploadTicket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AsGiven"];
            };
        };
        responses: {
            default: components["responses"]["Unknown"];
        };
    };
}
