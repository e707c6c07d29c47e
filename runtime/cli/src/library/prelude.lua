---@meta

-- What workflow files of sloth-runner can use, for editors that know LuaLS annotations:
--   sloth-runner lua-types > .sloth-types.lua

--- What an action gives; nil and a message if it failed softly.
---@class sloth.Result
---@field changed boolean whether something was, or in check mode would be, changed
---@field success boolean
---@field message? string
---@field diff? string

--- What a program left behind. Where text is wanted it reads as its standard output.
---@class sloth.ProcessResult: sloth.Result, string
---@field exit_code? integer
---@field signal? integer
---@field stdout string
---@field stderr string
---@field output string standard output, then standard error
---@field timed_out boolean
---@field resources? { user_time: number, system_time: number, memory: integer } seconds and bytes

--- What is known of a file.
---@class sloth.Stat
---@field kind "file"|"directory"|"symlink"|"other"
---@field type string
---@field size integer
---@field mode string permission bits in octal digits
---@field uid integer
---@field gid integer
---@field owner? string
---@field group? string
---@field modified integer seconds since 1970
---@field target? string
---@field is_dir boolean
---@field is_file boolean
---@field exists? boolean

--- A secret of the node. Where text is shown it reads `<secret name>`.
---@class sloth.Secret
---@field reveal fun(self: sloth.Secret): string
---@field after fun(self: sloth.Secret, text: string): sloth.Secret

--- Gives a secret of the node by its name, to stand in a program's `env` or a request's headers.
---@param name string
---@return sloth.Secret
function secret(name) end

--- Gives the value itself to the workflow; `secrets.reveal` of its name.
---@param given sloth.Secret|string
---@return string
function secret.reveal(given) end

--- Gives the secret with a text before it, for a request's header.
---@param given sloth.Secret|string
---@param text string
---@return sloth.Secret
function secret.after(given, text) end

--- An error as the library raises it.
---@class sloth.Error
---@field kind string
---@field message string
---@field location? string
---@field capability? string
---@field subject? string
---@field layer? string
---@field remedy? string

---@alias sloth.Duration string|number "30s", "5m", "1h30m", "500ms", or seconds
---@alias sloth.Outputs table<string, any>
---@alias sloth.Command fun(this: sloth.This, params: sloth.Params, deps: table<string, sloth.Outputs>): any, any, any
---@alias sloth.Condition string|fun(this: sloth.This, params: sloth.Params, deps: table<string, sloth.Outputs>): boolean
---@alias sloth.Capabilities table<string, table<string, boolean|string|string[]|table<string, string|string[]>>>

---@class sloth.Params
---@field workdir string
---@field task_name string
---@field workflow_name string
---@field [string] any

---@class sloth.Retries
---@field n integer attempts after the first
---@field delay? sloth.Duration
---@field max_delay? sloth.Duration
---@field backoff? "constant"|"exponential"
---@field jitter? boolean
---@field on? ("failed"|"timed-out"|"denied")[]

--- Where something runs: an agent's name, a selector such as "role=web", a list of them, or a function of values.
---@alias sloth.Delegate string|string[]|fun(values: table): string|string[]|nil

--- A task written as a table.
---@class sloth.TaskKeys
---@field name? string
---@field description? string
---@field command? string|sloth.Command
---@field run? string|sloth.Command
---@field depends_on? string|sloth.Task|(string|sloth.Task)[]
---@field params? table<string, any>
---@field timeout? sloth.Duration
---@field retries? integer|sloth.Retries
---@field run_if? sloth.Condition
---@field condition? sloth.Condition
---@field abort_if? sloth.Condition
---@field pre_hook? sloth.Command
---@field pre_exec? sloth.Command
---@field post_hook? fun(this: sloth.This, params: sloth.Params, output: table): any, any
---@field post_exec? fun(this: sloth.This, params: sloth.Params, output: table): any, any
---@field on_success? fun(this: sloth.This, params: sloth.Params, output: table): any, any
---@field on_failure? fun(this: sloth.This, params: sloth.Params, message: string): any, any
---@field on_fail? fun(this: sloth.This, params: sloth.Params, message: string): any, any
---@field on_timeout? fun(this: sloth.This, params: sloth.Params, message: string): any, any
---@field artifacts? string|string[]
---@field consumes? string|sloth.Task|(string|sloth.Task)[]
---@field async? boolean
---@field next_if_fail? string|sloth.Task|(string|sloth.Task)[]
---@field uses? sloth.Task|sloth.TaskKeys
---@field workdir? string
---@field user? string
---@field env? table<string, string>
---@field capabilities? sloth.Capabilities
---@field delegate_to? sloth.Delegate

--- A task being put together; every method gives it back.
---@class sloth.Task
---@field name string
---@field description fun(self: sloth.Task, text: string): sloth.Task
---@field command fun(self: sloth.Task, command: string|sloth.Command): sloth.Task
---@field run fun(self: sloth.Task, command: string|sloth.Command): sloth.Task
---@field depends_on fun(self: sloth.Task, tasks: string|sloth.Task|(string|sloth.Task)[], ...: string|sloth.Task): sloth.Task
---@field params fun(self: sloth.Task, params: table<string, any>): sloth.Task
---@field timeout fun(self: sloth.Task, timeout: sloth.Duration): sloth.Task
---@field retries fun(self: sloth.Task, retries: integer|sloth.Retries, backoff?: "constant"|"exponential"): sloth.Task
---@field run_if fun(self: sloth.Task, condition: sloth.Condition): sloth.Task
---@field condition fun(self: sloth.Task, condition: sloth.Condition): sloth.Task
---@field abort_if fun(self: sloth.Task, condition: sloth.Condition): sloth.Task
---@field pre_hook fun(self: sloth.Task, hook: sloth.Command): sloth.Task
---@field pre_exec fun(self: sloth.Task, hook: sloth.Command): sloth.Task
---@field post_hook fun(self: sloth.Task, hook: fun(this: sloth.This, params: sloth.Params, output: table): any, any): sloth.Task
---@field post_exec fun(self: sloth.Task, hook: fun(this: sloth.This, params: sloth.Params, output: table): any, any): sloth.Task
---@field on_success fun(self: sloth.Task, hook: fun(this: sloth.This, params: sloth.Params, output: table): any, any): sloth.Task
---@field on_failure fun(self: sloth.Task, hook: fun(this: sloth.This, params: sloth.Params, message: string): any, any): sloth.Task
---@field on_fail fun(self: sloth.Task, hook: fun(this: sloth.This, params: sloth.Params, message: string): any, any): sloth.Task
---@field on_timeout fun(self: sloth.Task, hook: fun(this: sloth.This, params: sloth.Params, message: string): any, any): sloth.Task
---@field artifacts fun(self: sloth.Task, globs: string|string[]): sloth.Task
---@field consumes fun(self: sloth.Task, tasks: string|sloth.Task|(string|sloth.Task)[], ...: string|sloth.Task): sloth.Task
---@field async fun(self: sloth.Task, async: boolean): sloth.Task
---@field next_if_fail fun(self: sloth.Task, tasks: string|sloth.Task|(string|sloth.Task)[], ...: string|sloth.Task): sloth.Task
---@field uses fun(self: sloth.Task, base: sloth.Task|sloth.TaskKeys): sloth.Task
---@field workdir fun(self: sloth.Task, folder: string): sloth.Task
---@field user fun(self: sloth.Task, user: string): sloth.Task
---@field env fun(self: sloth.Task, env: table<string, string>): sloth.Task
---@field capabilities fun(self: sloth.Task, capabilities: sloth.Capabilities): sloth.Task
---@field delegate_to fun(self: sloth.Task, delegate: sloth.Delegate): sloth.Task
---@field build fun(self: sloth.Task): sloth.Task

---@class sloth.Config
---@field timeout? sloth.Duration
---@field max_parallel_tasks? integer
---@field on_failure? "stop"|"continue"
---@field retries? integer|sloth.Retries
---@field lock? string|{ name: string, wait?: "queue"|"skip"|"fail" }

---@alias sloth.Tasks table<integer|string, sloth.Task|sloth.TaskKeys>

--- What a workflow is defined with as a table.
---@class sloth.WorkflowKeys
---@field description? string
---@field version? string
---@field metadata? table
---@field tasks? sloth.Tasks
---@field config? sloth.Config
---@field capabilities? sloth.Capabilities
---@field bundle? string|string[]
---@field workdir? string
---@field delegate_to? sloth.Delegate
---@field create_workdir_before_run? boolean
---@field clean_workdir_after_run? boolean|fun(result: table): boolean
---@field on_start? fun(): any, any
---@field on_complete? fun(success: boolean, results: table<string, any>): any, any

--- A workflow; every method gives it back.
---@class sloth.Workflow
---@field name string
---@field description fun(self: sloth.Workflow, text: string): sloth.Workflow
---@field version fun(self: sloth.Workflow, version: string): sloth.Workflow
---@field metadata fun(self: sloth.Workflow, metadata: table): sloth.Workflow
---@field tasks fun(self: sloth.Workflow, tasks: sloth.Tasks): sloth.Workflow
---@field config fun(self: sloth.Workflow, config: sloth.Config): sloth.Workflow
---@field capabilities fun(self: sloth.Workflow, capabilities: sloth.Capabilities): sloth.Workflow
---@field bundle fun(self: sloth.Workflow, globs: string|string[]): sloth.Workflow
---@field workdir fun(self: sloth.Workflow, folder: string): sloth.Workflow
---@field delegate_to fun(self: sloth.Workflow, delegate: sloth.Delegate): sloth.Workflow
---@field create_workdir_before_run fun(self: sloth.Workflow, create: boolean): sloth.Workflow
---@field clean_workdir_after_run fun(self: sloth.Workflow, clean: boolean|fun(result: table): boolean): sloth.Workflow
---@field on_start fun(self: sloth.Workflow, hook: fun(): any, any): sloth.Workflow
---@field on_complete fun(self: sloth.Workflow, hook: fun(success: boolean, results: table<string, any>): any, any): sloth.Workflow
---@field build fun(self: sloth.Workflow): sloth.Workflow

--- What the operator gave with --values and --var. A value that is missing is nil.
---@type table<string, any>
values = {}
Values = values

--- Begins a task.
---@param name string
---@param keys? sloth.TaskKeys
---@param command? sloth.Command
---@return sloth.Task
function task(name, keys, command) end

workflow = {}

--- Registers a workflow.
---@param name string
---@param keys? sloth.WorkflowKeys
---@return sloth.Workflow
function workflow.define(name, keys) end
