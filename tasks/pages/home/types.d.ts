// Answers of the page's server (app.py) and of Airflow. The records are those of tasks/store/records/status.py.

type Interval95 = [number, number];
type SetAsideFile = { name: string; reason: string };
type VideosPart = { at: string; num_videos: number; num_clips: number; num_new: number; new_at: string | null; num_set_aside: number; first_set_aside: SetAsideFile[] };
type LabelCount = { kind: "folder" | "file" | "person"; name: string; num_clips: number };
type LabelsPart = { at: string; num_clips: number; num_labelled: number; by_origin: LabelCount[]; agreement: string; num_problems: number };
type DatasetChange = { before: string; num_videos_added: number; num_videos_removed: number; num_clips_added: number; num_clips_removed: number; num_relabelled: number; num_moved: number; classes_added: string[]; classes_removed: string[] };
type KeptDataset = { digest: string; at: string; num_clips: number };
type DatasetPart = { at: string; digest: string; splits: { split: string; num_clips: number; num_sources: number }[]; num_unlabelled: number; change: DatasetChange | null; warnings: string[]; datasets: KeptDataset[] };
type TrainingPart = { at: string; run_key: string; recipe: string; num_train_clips: number | null; estimate: string; expected_seconds: number | null; dataset: string };
type Version = { version: number; at: string; event: "promoted" | "provisional" | "kept" | "champion again"; reason: string; num_labelled: number; num_clips: number; top1: number; interval: Interval95; top1_now: number | null; interval_now: Interval95 | null; report_url: string; mlflow_run_url: string; saw_forgotten?: boolean };
type WeakClass = { name: string; verb: string; noun: string; num_right: number; num_clips: number; uids: string[] };
type ModelPart = { at: string; model_name: string; champion: number | null; provisional: boolean; champion_since: string | null; split: string | null; weak_classes: WeakClass[]; versions: Version[] };
type Prediction = { at: string; report_url: string; model: string; num_videos: number; num_clips: number; unsure_share: number; unlike: string; is_unlike: boolean; num_to_label: number };
type SpaceUse = { name: string; num_objects: number; size_bytes: number };
type SpacePart = { at: string };
type LoopStatus = { store: string; model_name: string; films: VideosPart | null; labels: LabelsPart | null; dataset: DatasetPart | null; training: TrainingPart | null; model: ModelPart | null; predictions: { predictions: Prediction[] } | null; space: SpacePart | null };
type HomeState = {
  stores: string[];
  store: string;
  has_docs: boolean;
  samples: { store: string; conf: object } | null;
  models: string[];
  status: LoopStatus;
  sentence: string;
  steps: { text: string; url: string }[];
  num_new_labels: number;
  num_chosen: number;
  is_quiet: boolean;
  folders: SpaceUse[];
  disk_free_share: number;
  is_nearly_full: boolean;
  now: string;
  is_empty: boolean;
};

type LiveRun = { dag_id: string; run_id: string; state: "running" | "queued"; store: string | null; since: string; started_by: string; waits_for: string; url: string };
/** Facts for the server's rules (next_steps.py); null where Airflow does not say. */
type LiveFacts = {
  approvals: { subject: string; url: string; since: string; store: string | null }[] | null;
  runs: LiveRun[] | null;
  scheduled: { dag_id: string; at: string }[] | null;
  import_errors: string[] | null;
};
/** LiveFacts, and facts that only the page shows. */
type Seen = LiveFacts & { health: Record<string, { status: string | null }> | null; training: { run: LiveRun; since: string } | null };
type Task = { dag_id: string; dag_run_id: string; task_id: string; state: string; pool: string; start_date: string | null };
/** Arguments of the functions that make parts of the page. */
type Shown = { state: HomeState; seen: Seen; label: string; panel: (title: string, ...children: Child[]) => void; stop: (run: LiveRun) => void };
