// Generated from transcripto.yaml by scripts/generate-vendor-types.ts. Do not edit.

export interface paths {
    "/add_chat_analysis_task": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A task from the text of a dialogue. */
        post: operations["addChatAnalysisTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/addtaskaudio": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A task from any audio file, without call analytics. */
        post: operations["addTaskAudio"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/addtaskcall": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A call task from an uploaded file. */
        post: operations["addTaskCall"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/addtaskcallbyurl": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A call task from a link to the audio. */
        post: operations["addTaskCallByUrl"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/addtaskyoutube": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A task from the link of a video. */
        post: operations["addTaskYoutube"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/calls_analysis_v2/{task_code}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The analysis of a call or a chat. */
        get: operations["getCallAnalysis"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/calls_analysis/{task_code}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the introduction calls the analysis; the reference section and all samples say calls_analysis_v2. */
        get: operations["getCallAnalysisByIntroduction"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/auth/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A token for the private operations. */
        post: operations["login"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/checklist": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The active questions. Not paged. */
        get: operations["listChecklist"];
        put?: never;
        /** A new question. */
        post: operations["createChecklistQuestion"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/checklist/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The active questions of a user, for an administrator. */
        get: operations["listChecklistOfUser"];
        put?: never;
        /** Another wording of a question. */
        post: operations["editChecklistQuestion"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/checklist/answer/{task_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Answers to the questions for a task, by its internal number. */
        get: operations["getChecklistAnswers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/checklist/delete/{checklist_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Deletes or hides a question. */
        post: operations["deleteChecklistQuestion"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/get_file": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A file of a task. */
        get: operations["getFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/gettask": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** State and texts of a task. */
        get: operations["getTask"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tasks/filter": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same by query, lists as comma-separated text. For the meaning of each see TaskFilter. */
        get: operations["listTasks"];
        put?: never;
        /** Tasks by many criteria, last updated first. */
        post: operations["filterTasks"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tasks/filters/delete/{filter_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Deletes a saved filter. */
        post: operations["deleteFilter"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tasks/filters/list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The saved filters of the user. */
        get: operations["listFilters"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tasks/filters/save": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Saves a filter; one of that name is replaced. */
        post: operations["saveFilter"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/call_categories/create": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A new category. */
        post: operations["createCategory"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/call_categories/delete/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Deletes a category. */
        post: operations["deleteCategory"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/call_categories/edit/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Changes a category. */
        post: operations["editCategory"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/call_categories/list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Categories, searched and paged. */
        post: operations["listCategories"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/call_check_scripts/create": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A new script. */
        post: operations["createScript"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/call_check_scripts/delete/{script_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Deletes a script. */
        post: operations["deleteScript"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/call_check_scripts/edit/{script_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Changes a script. */
        post: operations["editScript"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/call_check_scripts/list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Scripts, searched and paged. */
        post: operations["listScripts"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/callreport": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A task that makes a report over a period. */
        post: operations["createCallReport"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/callreport/file": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The file of a report. No token is wanted: whoever knows the code may have it. */
        get: operations["getReportFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/directories": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** All directories of the user. */
        get: operations["listDirectories"];
        put?: never;
        /** A new directory. */
        post: operations["createDirectory"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/directories/delete/{directory_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Deletes a directory. */
        delete: operations["deleteDirectory"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/tariff": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The account's plan and what is left of it. */
        get: operations["getTariff"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/tasks/filter": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the introduction calls the list of tasks; the reference section and all samples say /tasks/filter. */
        get: operations["listTasksByIntroduction"];
        put?: never;
        post?: never;
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
        AudioFile: {
            directory_id?: number;
            /** @description About 2 s at least. */
            file: string;
            file_lang?: components["schemas"]["FileLanguage"];
        };
        CallAnalysis: {
            /** @description Keys may be added without a change of version. */
            analysis?: {
                /** @description Recommended next steps. */
                actions?: string[];
                analysis_notes?: {
                    [key: string]: unknown;
                };
                scores?: {
                    [key: string]: unknown;
                };
                /** @enum {string} */
                sentiment?: "positive" | "neutral" | "negative";
                summary?: string;
                tags?: string[];
            };
            call_checklists?: {
                answers?: {
                    question_id?: number;
                    title?: string;
                    value?: boolean | string | number | null;
                }[];
                checklist_id?: number;
                score?: number;
                title?: string;
            }[] | null;
            /** Format: date-time */
            call_datetime?: string;
            call_type?: string;
            category_ids?: number[] | null;
            customer_satisfaction_score?: number | null;
            duration_sec?: number;
            error_code: components["schemas"]["Good"];
            /** @constant */
            success: true;
            /** Format: uuid */
            task_code: string;
            /** @description Figures only, no text. */
            transcript?: {
                /** @description BCP 47. */
                language?: string;
                turns?: number;
            };
        };
        CallByUrl: components["schemas"]["CallFields"] & {
            /**
             * Format: uri
             * @description Direct link.
             */
            file_url: string;
        };
        CallFields: {
            /** Format: date */
            call_date?: string;
            /**
             * Format: date-time
             * @description Without its zone it is error 4001.
             */
            call_datetime?: string;
            call_type?: components["schemas"]["CallType"];
            client_id?: string;
            /** @description 0 is none (said of the file only). */
            directory_id?: number;
            /** @default global */
            operator_name?: string;
            processing_type?: components["schemas"]["ProcessingType"];
        };
        CallFile: components["schemas"]["CallFields"] & {
            /** @description WAV, MP3, OGG "etc."; about 2 s at least. */
            file: string;
        };
        /**
         * @example inbound
         * @example outbound
         */
        CallType: string;
        Category: {
            /** @description In lists. */
            children_count?: number;
            /** Format: date-time */
            created_at: string;
            description: string | null;
            id: number;
            name: string;
            parent_id: number | null;
            /** Format: date-time */
            updated_at: string;
        };
        CategoryEdit: {
            /** @description Wins over the id of the path. */
            category_id?: number;
            description?: string;
            name?: string;
            parent_id?: number | null;
        };
        CategoryNew: {
            description?: string;
            name: string;
            parent_id?: number | null;
        };
        CategoryPage: {
            error_code: components["schemas"]["Good"];
            items: components["schemas"]["Category"][];
            page: number;
            per_page: number;
            /** @constant */
            success: true;
            total: number;
        };
        CategorySaved: {
            data: components["schemas"]["Category"];
            error_code: components["schemas"]["Good"];
            /** @constant */
            success: true;
            success_message?: string;
        };
        CategorySearch: {
            /** @default 1 */
            page?: number;
            parent_id?: number | null;
            /** @default 20 */
            per_page?: number;
            /** @description Part of name or description. */
            q?: string;
        };
        Chat: {
            /** Format: date */
            call_date?: string | null;
            chunks?: unknown[] | null;
            operator_name?: string;
            text?: string | null;
        };
        ChatTaskCreated: {
            error_code: components["schemas"]["Good"];
            /** @constant */
            success: true;
            success_message?: string;
            /** Format: uuid */
            task_code: string;
        };
        Checklist: {
            data: components["schemas"]["ChecklistQuestion"][];
            error_code: components["schemas"]["Good"];
            /** @constant */
            success: true;
        };
        ChecklistAnswers: {
            data: {
                /** @description Yes and No, or free text. */
                answer: string;
                checklist_id: number;
                question: string;
            }[];
            error_code: components["schemas"]["Good"];
            /** @constant */
            success: true;
        };
        ChecklistQuestion: {
            id: number;
            is_active: boolean;
            question: string;
        };
        Deleted: {
            error_code: components["schemas"]["Good"];
            message?: string;
            /** @constant */
            success: true;
        };
        Directories: {
            directories: components["schemas"]["Directory"][];
            error_code: components["schemas"]["Good"];
            /** @constant */
            success: true;
        };
        Directory: {
            id: number;
            name: string;
        };
        DirectoryCreated: {
            directory: components["schemas"]["Directory"];
            error_code: components["schemas"]["Good"];
            /** @constant */
            success: true;
        };
        /** @description Without success. */
        DirectoryDeleted: {
            error_code: components["schemas"]["Good"];
            message?: string;
        };
        Failure: {
            error_code: number;
            error_message?: string | null;
            /** @constant */
            success?: false;
        };
        /**
         * @description Language or locale code; 00 finds out by itself.
         * @default 00
         */
        FileLanguage: string;
        /** @enum {string} */
        FileType: "docx_call" | "txt_call" | "docx_youtube" | "txt_youtube" | "audio";
        FilterSaved: {
            criteria: components["schemas"]["TaskFilter"];
            name: string;
        };
        /**
         * @description No error.
         * @constant
         */
        Good: 0;
        Ids: number | number[] | null;
        LoggedIn: {
            /** @description Year, month, day, number of calls. */
            call_activity_tree?: {
                [key: string]: {
                    [key: string]: {
                        [key: string]: number;
                    };
                };
            };
            directories?: components["schemas"]["Directory"][];
            email?: string;
            error_code: components["schemas"]["Good"];
            last_tasks?: {
                /** Format: date-time */
                created_at?: string;
                directory_id?: number | null;
                /** @description File name. */
                file_path?: string;
                /**
                 * Format: uuid
                 * @description Public code of the task.
                 */
                id?: string;
                status?: string;
                /** @description Minutes. */
                task_length?: number;
            }[];
            /** @description Default language of the user. */
            locale?: string;
            message?: string;
            tariff?: components["schemas"]["Plan"];
            /** @description JWT for the private operations. */
            token: string;
            user_id?: number;
        };
        Login: {
            captcha_token: string;
            email: string;
            password_hash: string;
        };
        Named: {
            name: string;
        };
        Plan: {
            calls_enabled?: boolean;
            /** @description Full days, rounded up. */
            days_left?: number;
            /** Format: date-time */
            end_date?: string;
            id?: number;
            identifier?: string;
            image_generation_enabled?: boolean;
            /** @description The same as remaining_resources.available_image_tokens, for older clients. */
            image_tokens?: number;
            limits?: {
                audio_minutes?: number;
                call_minutes?: number;
                chat_count?: number;
                image_tokens?: number;
                /** @description Business reports. */
                report_count?: number;
                text_tokens?: number;
                video_minutes?: number;
            };
            name?: string;
            price?: {
                currency?: string;
                value?: number;
            };
            remaining_resources?: {
                available_audio_minutes?: number;
                available_call_minutes?: number;
                available_chat_count?: number;
                available_image_tokens?: number;
                available_report_count?: number;
                available_text_tokens?: number;
                available_video_minutes?: number;
            };
            /** Format: date-time */
            start_date?: string;
            /** @description The same as remaining_resources.available_text_tokens, for older clients. */
            text_tokens?: number;
            transcription_enabled?: boolean;
            /** @description Limit less what remains, not below 0. */
            usage?: {
                used_audio_minutes?: number;
                used_call_minutes?: number;
                used_chat_count?: number;
                used_image_tokens?: number;
                used_report_count?: number;
                used_text_tokens?: number;
                used_video_minutes?: number;
            };
        };
        /**
         * @example standard
         * @example analysis
         */
        ProcessingType: string;
        Question: {
            question: string;
        };
        QuestionDeleted: {
            error_code: components["schemas"]["Good"];
            id: number;
            message?: string;
            /** @constant */
            success: true;
        };
        QuestionSaved: {
            data: components["schemas"]["ChecklistQuestion"];
            error_code: components["schemas"]["Good"];
            message?: string;
            /** @constant */
            success: true;
        };
        ReportTaskCreated: {
            /** @description Business reports left; for those only. */
            available_report_count?: number;
            error_code: components["schemas"]["Good"];
            /**
             * Format: uuid
             * @description Whoever knows it can load the report.
             */
            report_task_code: string;
            /** @constant */
            success: true;
            success_message?: string;
        };
        ReportWanted: {
            /** @description Date or date with time. */
            end_date: string;
            /**
             * @default standard
             * @example standard
             * @example business
             */
            report_type?: string;
            /** @description Date or date with time. */
            start_date: string;
        };
        /** @description Without error_code. */
        Said: {
            message?: string;
            /** @constant */
            success: true;
        };
        SavedFilters: {
            count: number;
            filters: {
                /** @description ISO 8601; without a zone in the sample. */
                created_at: string;
                criteria: components["schemas"]["TaskFilter"];
                id: number;
                name: string;
            }[];
            /** @constant */
            success: true;
        };
        Script: {
            /** Format: date-time */
            created_at: string;
            description: string | null;
            id: number;
            /** @description Unique within the user. */
            identifier: string;
            is_active: boolean;
            /** @description Plain text. */
            script_body: string;
            title: string;
            /** Format: date-time */
            updated_at: string;
            version: number;
        };
        ScriptDelete: {
            /** @description Wins over the id of the path. */
            script_id?: number;
        };
        ScriptEdit: {
            description?: string;
            identifier?: string;
            is_active?: boolean;
            script_body?: string;
            /** @description Wins over the id of the path. */
            script_id?: number;
            title?: string;
            version?: number;
        };
        ScriptNew: {
            description?: string;
            identifier: string;
            /** @default true */
            is_active?: boolean;
            script_body: string;
            title: string;
            /** @default 1 */
            version?: number;
        };
        ScriptPage: {
            error_code: components["schemas"]["Good"];
            items: components["schemas"]["Script"][];
            page: number;
            per_page: number;
            /** @constant */
            success: true;
            total: number;
        };
        ScriptSaved: {
            data: components["schemas"]["Script"];
            error_code: components["schemas"]["Good"];
            /** @constant */
            success: true;
            success_message?: string;
        };
        ScriptSearch: {
            /** @description Also 1 or yes. */
            only_active?: boolean;
            /** @default 1 */
            page?: number;
            /** @default 20 */
            per_page?: number;
            /** @description Part of identifier or title. */
            q?: string;
        };
        /** @enum {string} */
        Status: "pending" | "processing" | "audio_completed" | "completed" | "completed2" | "error";
        Tariff: {
            /**
             * @description Spelt differently from every other answer.
             * @constant
             */
            errorcode: 0;
            /** @constant */
            success: true;
            tariff: components["schemas"]["Plan"];
        };
        TariffFailure: {
            error_code?: number;
            error_message?: string | null;
            errorcode?: number;
            /** @constant */
            success?: false;
        } | unknown | unknown;
        Task: {
            /** Format: date */
            call_date: string | null;
            /** Format: date-time */
            created_at: string;
            directory_id: number | null;
            error_code: components["schemas"]["Good"];
            error_message: string | null;
            file_name: string | null;
            /** @description Internal number. */
            id: number;
            report_type: string | null;
            status: components["schemas"]["Status"];
            /** @constant */
            success: true;
            /** Format: uuid */
            task_code: string;
            task_length: number;
            task_result: components["schemas"]["TaskResult"] | null;
            type: components["schemas"]["TaskType"];
            /** Format: date-time */
            updated_at: string;
        };
        TaskCreated: {
            /**
             * Format: uuid
             * @description Public code of the task.
             */
            code: string;
            error_code: components["schemas"]["Good"];
            /** @description Internal number. */
            id: number;
        };
        TaskFilter: {
            answers?: components["schemas"]["Words"];
            call_type?: components["schemas"]["CallType"];
            /** @description With answers, tasks whose answer to that question is one of them. */
            checklist_id?: number;
            customer_satisfaction_score_max?: number;
            customer_satisfaction_score_min?: number;
            /** @description Of the call, in UTC; date or date with time. */
            date_from?: string;
            /** @description Of the call, in UTC; date or date with time. */
            date_to?: string;
            funnel_stage_id?: components["schemas"]["Ids"];
            /** @description Minutes. */
            length_max?: number;
            /** @description Minutes. */
            length_min?: number;
            /** @description Full text of summary, original and normalised text. */
            message?: string;
            /** @description Part of the name, any case (ILIKE). */
            operator_name?: string;
            /** @description 1 to 5. */
            operator_politeness?: components["schemas"]["Ids"];
            operator_politeness_max?: number;
            operator_politeness_min?: number;
            /** @default 1 */
            page?: number;
            /** @default 10 */
            per_page?: number;
            priority_id?: components["schemas"]["Ids"];
            resolved_status_id?: components["schemas"]["Ids"];
            risk_signal_id?: components["schemas"]["Ids"];
            sales_signal_id?: components["schemas"]["Ids"];
            script_alignment_max?: number;
            script_alignment_min?: number;
            status?: components["schemas"]["Status"];
            tags_all?: components["schemas"]["Words"];
            tags_any?: components["schemas"]["Words"];
            /** @description UUID or an older code. */
            task_code?: string;
            task_id?: number;
            task_type?: components["schemas"]["TaskType"];
            tone_id?: components["schemas"]["Ids"];
        };
        TaskPage: {
            pagination: {
                current_page: number;
                per_page: number;
                total_pages: number;
                total_tasks: number;
            };
            tasks: components["schemas"]["TaskSummary"][];
        };
        /** @description Only what the task's mode has made. */
        TaskResult: {
            blog_post?: string | null;
            image_prompt?: string | null;
            normalized_text?: string | null;
            original_text?: string | null;
        };
        TaskSummary: {
            /** Format: date */
            call_date: string | null;
            /** Format: date-time */
            call_time: string | null;
            call_type: string | null;
            /** Format: date-time */
            created_at: string | null;
            customer_satisfaction_score: number | null;
            directory_id: number | null;
            error_message: string | null;
            file_name: string | null;
            id: number;
            operator_name: string | null;
            report_type: string | null;
            status: components["schemas"]["Status"];
            /** Format: uuid */
            task_code: string;
            /** @description Minutes; 0 of a chat or an e-mail. */
            task_length: number;
            type: components["schemas"]["TaskType"];
            /** Format: date-time */
            updated_at: string | null;
        };
        /** @enum {string} */
        TaskType: "call" | "chat" | "email" | "audio" | "youtubenew" | "callreport";
        VideoLink: {
            directory_id?: number;
            file_lang?: components["schemas"]["FileLanguage"];
            /**
             * Format: uri
             * @description YouTube, VK, TikTok and the like.
             */
            file_path: string;
        };
        VideoTaskCreated: components["schemas"]["TaskCreated"] & {
            /** @description Usually false for the private API. */
            demo?: boolean;
        };
        Words: string | string[];
    };
    responses: never;
    parameters: {
        /** @description Language of texts (en, ru, …), and the price region of /user/tariff. */
        AcceptLanguage: string;
    };
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    addChatAnalysisTask: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Chat"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChatTaskCreated"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    addTaskAudio: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["AudioFile"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    addTaskCall: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["CallFile"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    addTaskCallByUrl: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CallByUrl"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    addTaskYoutube: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["VideoLink"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VideoTaskCreated"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    getCallAnalysis: {
        parameters: {
            query?: never;
            header?: {
                /** @description Language of texts (en, ru, …), and the price region of /user/tariff. */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path: {
                task_code: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallAnalysis"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    getCallAnalysisByIntroduction: {
        parameters: {
            query?: never;
            header?: {
                /** @description Language of texts (en, ru, …), and the price region of /user/tariff. */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path: {
                task_code: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallAnalysis"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    login: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Login"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LoggedIn"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    listChecklist: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Checklist"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    createChecklistQuestion: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Question"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuestionSaved"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    listChecklistOfUser: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description user_id */
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Checklist"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    editChecklistQuestion: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description checklist_id */
                id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Question"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuestionSaved"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    getChecklistAnswers: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                task_id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChecklistAnswers"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    deleteChecklistQuestion: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                checklist_id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuestionDeleted"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    getFile: {
        parameters: {
            query: {
                file_type: components["schemas"]["FileType"];
                task_code: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": string;
                    "audio/*": string;
                    "text/plain": string;
                };
            };
        };
    };
    getTask: {
        parameters: {
            query: {
                task_code: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Task"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    listTasks: {
        parameters: {
            query?: {
                answers?: string;
                call_type?: string;
                checklist_id?: number;
                customer_satisfaction_score_max?: number;
                customer_satisfaction_score_min?: number;
                date_from?: string;
                date_to?: string;
                funnel_stage_id?: string;
                length_max?: number;
                length_min?: number;
                message?: string;
                operator_name?: string;
                operator_politeness?: string;
                operator_politeness_max?: number;
                operator_politeness_min?: number;
                page?: number;
                per_page?: number;
                priority_id?: string;
                resolved_status_id?: string;
                risk_signal_id?: string;
                sales_signal_id?: string;
                script_alignment_max?: number;
                script_alignment_min?: number;
                status?: components["schemas"]["Status"];
                tags_all?: string;
                tags_any?: string;
                task_code?: string;
                task_id?: number;
                task_type?: components["schemas"]["TaskType"];
                tone_id?: string;
            };
            header?: {
                /** @description Language of texts (en, ru, …), and the price region of /user/tariff. */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskPage"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    filterTasks: {
        parameters: {
            query?: never;
            header?: {
                /** @description Language of texts (en, ru, …), and the price region of /user/tariff. */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TaskFilter"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskPage"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    deleteFilter: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                filter_id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Said"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    listFilters: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SavedFilters"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    saveFilter: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FilterSaved"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Said"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    createCategory: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CategoryNew"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CategorySaved"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    deleteCategory: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Deleted"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    editCategory: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CategoryEdit"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CategorySaved"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    listCategories: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CategorySearch"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CategoryPage"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    createScript: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ScriptNew"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScriptSaved"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    deleteScript: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                script_id: number;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ScriptDelete"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Deleted"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    editScript: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                script_id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ScriptEdit"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScriptSaved"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    listScripts: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ScriptSearch"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScriptPage"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    createCallReport: {
        parameters: {
            query?: never;
            header?: {
                /** @description Language of texts (en, ru, …), and the price region of /user/tariff. */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReportWanted"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReportTaskCreated"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    getReportFile: {
        parameters: {
            query: {
                filename: string;
                /** @description Public code of the report task, or its short code. */
                task_code: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                    "application/pdf": string;
                    "text/html": string;
                };
            };
        };
    };
    listDirectories: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Directories"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    createDirectory: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Named"];
            };
        };
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DirectoryCreated"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    deleteDirectory: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                directory_id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DirectoryDeleted"] | components["schemas"]["Failure"];
                };
            };
        };
    };
    getTariff: {
        parameters: {
            query?: never;
            header?: {
                /** @description Language of texts (en, ru, …), and the price region of /user/tariff. */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tariff"] | components["schemas"]["TariffFailure"];
                };
            };
        };
    };
    listTasksByIntroduction: {
        parameters: {
            query?: {
                answers?: string;
                call_type?: string;
                checklist_id?: number;
                customer_satisfaction_score_max?: number;
                customer_satisfaction_score_min?: number;
                date_from?: string;
                date_to?: string;
                funnel_stage_id?: string;
                length_max?: number;
                length_min?: number;
                message?: string;
                operator_name?: string;
                operator_politeness?: string;
                operator_politeness_max?: number;
                operator_politeness_min?: number;
                page?: number;
                per_page?: number;
                priority_id?: string;
                resolved_status_id?: string;
                risk_signal_id?: string;
                sales_signal_id?: string;
                script_alignment_max?: number;
                script_alignment_min?: number;
                status?: components["schemas"]["Status"];
                tags_all?: string;
                tags_any?: string;
                task_code?: string;
                task_id?: number;
                task_type?: components["schemas"]["TaskType"];
                tone_id?: string;
            };
            header?: {
                /** @description Language of texts (en, ru, …), and the price region of /user/tariff. */
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer, or a business error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskPage"] | components["schemas"]["Failure"];
                };
            };
        };
    };
}
