// Types that the scripts of the page share: what the server answers and what they ask it to write (handlers.py), and the page's elements.

type Answer = "action" | "nothing" | "unsure";
type Reading = "first" | "second";
type Target = "verb" | "noun";
type Span = { start_seconds: number; stop_seconds: number };
type Action = { verb: string; noun: string };
type Suggestion = Action & { probability: number };

/** A label by a person or a file; only an action has words. */
type Label = { answer: Answer; verb: string | null; noun: string | null; by: string; at?: string };
/** The answer about a clip and the interval over it that says otherwise. */
type Conflict = Span & { uid: string; video: string; answer: Label; interval: Label; over: string; holds: "answer" | "interval" };
type Clip = Span & {
  uid: string;
  video: string;
  name: string;
  num_frames: number;
  reading: Reading;
  reason: string | null;
  suggestions: Suggestion[];
  is_measured: boolean;
  label: (Action & { origin: string; at?: string }) | null;
  answer: Answer | null;
  token: string | null;
  over: string | null;
  conflict: Conflict | null;
  /** The action that an audit finds likely in place of the label. */
  doubt: Suggestion | null;
};
/** `by` and `at` are missing in one that this page has just sent. */
type Interval = Span & Action & { token: string; by?: string; at?: string };
type Video = {
  video: string;
  name: string;
  duration_seconds: number;
  clips: (Span & { uid: string; num_frames: number })[];
  intervals: Interval[];
  labels: (Span & Label & { kind: "clip" | "file"; uid: string })[];
  predicted: (Span & Suggestion)[];
  conflicts: Conflict[];
  num_hidden: number;
};

type Counts = { num_clips: number; num_labelled: number; num_unsure: number; num_conflicts: number; num_remaining: number; num_mine: number };
type Name = { name: string; num_clips: number };
type Merge = { token: string; target: Target; name: string; same_as: string; by: string };
type Near = { target: Target; names: string[] };
type Brought = { verbs: string[]; nouns: string[] };
type VideoCounts = { video: string; name: string; num_clips: number; num_labelled: number };
type Cut = { cut: string; name: string };
type BuildOptions = { store?: string; [name: string]: unknown };
type State = {
  /** A state that the page knows already comes as the version alone. */
  version?: string;
  ready: boolean;
  is_empty?: boolean;
  store: string;
  me: string;
  may_write: boolean;
  second_share: number;
  build_options: BuildOptions;
  cut: string;
  cuts: Cut[];
  counts: Counts;
  brought: Brought;
  frequent: Action[];
  videos: VideoCounts[];
};
type Classes = { verbs: Name[]; nouns: Name[]; merges: Merge[]; near: Near[] };
type Build = { store: string; num_clips: number; num_new: number; last_recipe: string; last_estimate: string; gate: string };
type Row = Span & Label & {
  kind: "clip" | "interval" | "file";
  uid: string;
  token: string;
  video: string;
  name: string;
  reading: Reading;
  is_conflict: boolean;
  conflict: Conflict | null;
  over?: string | null;
  statements: (Label & { at: string; reading?: Reading })[];
};
type Agreement = { num_clips: number; num_videos: number; share: number; kappa: number | null; interval: [number, number] | null };
type Review = { rows: Row[]; num_rows: number; num_hidden: number; rows_per_page: number; people: string[]; agreement: Agreement | null; unread: string[] };
type Saved = { counts: Counts; conflicts: Conflict[] };
/** The answer to a path; Airflow's are checked where they are used. */
type AnswerTo<Path> =
  Path extends "state" ? State
  : Path extends "queue" ? { clips: Clip[] }
  : Path extends "review" ? Review
  : Path extends "classes" ? Classes
  : Path extends "build" ? Build
  : Path extends `clips/${string}` ? Clip
  : Path extends `videos/${string}` ? Video
  : any;
/** A run of a DAG, as Airflow describes it. */
type Run = { dag_id: string; dag_run_id: string; run_type: string; state: string; conf: object; start_date?: string; queued_at?: string; run_after: string };

/** State and Classes under the names of the page. */
type Session = {
  version: string;
  me: string;
  mayWrite: boolean;
  ready: boolean;
  isEmpty: boolean;
  store: string;
  buildOptions: BuildOptions;
  cut: string;
  cuts: Cut[];
  counts: Counts | null;
  secondShare: number;
  verbs: Name[];
  nouns: Name[];
  brought: Brought;
  videos: VideoCounts[];
  quickActions: Action[];
  merges: Merge[];
  near: Near[];
};

type Suggested = Suggestion & { shown: boolean };
type ClipStatement = { kind: "clip"; token: string; uid: string; answer: Answer; verb?: string | null; noun?: string | null; reading?: Reading; suggested?: Suggested; over?: string | null; checked?: boolean };
type IntervalStatement = Span & Action & { kind: "interval"; token: string; video: string; replaces: string | null; suggested: Suggested | null };
type Withdrawal = { kind: "withdrawal"; token: string; withdrawn: string; undo?: boolean };
type ClassMerge = { kind: "class"; token: string; target: Target; name: string; same_as: string };
type Statement = ClipStatement | IntervalStatement | Withdrawal | ClassMerge;
/** A statement in the outbox; `about` is its text for people. */
type Entry = { key: string; statement: Statement; about: string };

/** The choice of a search box or a key. */
type Choice = { answer?: Answer; verb?: string | null; noun?: string | null };
/** A bar of the timeline, and an item of the lists below it. */
type Bar = Span & Partial<Omit<Label, "at">> & { at?: string; token?: string; uid?: string; probability?: number; isChosen?: boolean; isDone?: boolean };
type BarKind = "interval" | "label" | "predicted";
type Draft = { start: number | null; stop: number | null; verb: string | null; noun: string | null; replaces: string | null; suggested: Suggested | null; over: Bar | null };
type View = {
  keys: { [name: string]: (event: KeyboardEvent) => unknown };
  home?: () => unknown;
  typed?: (event: KeyboardEvent) => unknown;
  goesOn?: (letter: string) => boolean;
  show?: (rest: string) => unknown;
  hide?: () => unknown;
  saved?: (saved: Entry & { answer: Saved }) => unknown;
};

type Child = Node | string | false | null | undefined;
type Attribute = string | number | boolean | null | undefined;
type Attributes = {
  [name: string]: Attribute | ((event: never) => unknown);
  onclick?: (event: MouseEvent) => unknown;
  oninput?: (event: Event) => unknown;
  onblur?: (event: FocusEvent) => unknown;
  onfocus?: (event: FocusEvent) => unknown;
  onkeydown?: (event: KeyboardEvent) => unknown;
  onpointerdown?: (event: PointerEvent) => unknown;
};

interface OwnEvents {
  saved: Entry & { answer: Saved };
  failed: Error;
  seek: number;
  choose: { kind: BarKind; bar: Bar };
  drag: { end: "start" | "stop"; seconds: number };
}
interface EventTarget {
  addEventListener<Name extends keyof OwnEvents>(name: Name, call: (event: CustomEvent<OwnEvents[Name]>) => void): void;
}

/** The ids of index.html by tag; a test compares them. */
interface Ids {
  other: "to-clips" | "to-intervals" | "to-review" | "to-classes" | "done" | "remaining" | "unsent" | "who" | "banner" | "status" | "spoken" |
    "not-ready" | "view-clips" | "clips-title" | "cuts" | "clip-end" | "stage" | "clip-screen" | "clip-caption" | "clip-time" | "clip-why" |
    "clip-reading" | "clip-label" | "clip-conflicts" | "suggestions" | "no-suggestion" | "clip-words" | "quick-actions-title" | "quick-actions" |
    "per-class" | "per-class-tables" | "view-intervals" | "intervals-title" | "interval-place" | "zoom" | "interval-stage" | "interval-screen" |
    "interval-time" | "interval-state" | "interval-words" | "draft" | "interval-conflicts" | "timeline" | "interval-list" | "label-list" | "predicted-list" |
    "view-review" | "review-title" | "agreement" | "review-count" | "review-unread" | "review-rows" | "review-page" | "view-classes" | "classes-title"
    | "class-verbs" | "class-nouns" | "near-part" | "near" | "merges" | "names" | "help-title" | "change-title" | "change-screen" | "change-about" |
    "change-words" | "rename-title" | "rename-note" | "of-class-title" | "of-class-screen" | "of-class-list" | "build-title" | "build-facts" |
    "build-then" | "build-progress" | "build-next" | "stop-title" | "stop-runs" | "stop-progress";
  progress: "done-bar" | "clip-progress";
  button: "build-open" | "stop-open" | "help-open" | "answer-nothing" | "answer-unsure" | "answer-back" | "answer-later" | "answer-undo" | "zoom-out"
    | "zoom-in" | "set-in" | "set-out" | "interval-save" | "interval-clear" | "interval-undo" | "review-newer" | "review-older" | "change-nothing" |
    "change-unsure" | "rename-save" | "build-start" | "stop-start";
  select: "filter-show" | "filter-video" | "filter-cut" | "interval-video" | "review-show" | "review-by" | "review-video";
  input: "filter-name" | "blind" | "in" | "out" | "review-name" | "single-keys" | "rename-to";
  dialog: "help" | "change" | "rename" | "of-class" | "build" | "stop";
}
type Tag = Exclude<keyof Ids, "other">;
type ElementOf<Id> = { [T in Tag]: Id extends Ids[T] ? HTMLElementTagNameMap[T] : never }[Tag] | (Id extends Ids["other"] ? HTMLElement : never);
