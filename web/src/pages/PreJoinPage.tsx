import { MAX_DISPLAY_NAME_LENGTH } from '@plenary/cluster/protocol';
import { Avatar } from '../components/Avatar.tsx';
import { DeviceSelect } from '../components/DeviceSelect.tsx';
import { Icon, Logo } from '../components/Icon.tsx';
import { LevelMeter } from '../components/LevelMeter.tsx';
import { isActive, type MeetingSnapshot } from '../client/index.ts';
import { useMediaElement } from '../hooks/use-media-element.ts';
import {
  appearsOn,
  type CaptureKind,
  type CaptureState,
  type LocalMediaSnapshot,
} from '../state/local-media.ts';
import { explainAddress, explainProblems, stillTryingText } from '../state/notices.ts';
import type { RoomController } from '../state/room-controller.ts';
import type { UiState } from '../state/ui-state.ts';

interface ToggleProps {
  readonly kind: CaptureKind;
  readonly state: CaptureState;
  readonly onToggle: (kind: CaptureKind) => void;
}

function Toggle({ kind, state, onToggle }: ToggleProps) {
  const on = appearsOn(state);
  const names = kind === 'microphone' ? (['mic', 'mic-off'] as const) : (['camera', 'camera-off'] as const);
  return (
    <button
      type="button"
      className={`control ${on ? '' : 'is-off'}`}
      aria-pressed={on}
      aria-label={on ? `Join with the ${kind} off` : `Join with the ${kind} on`}
      title={on ? `Turn the ${kind} off` : `Turn the ${kind} on`}
      onClick={() => onToggle(kind)}
      data-testid={kind === 'microphone' ? 'mic-button' : 'camera-button'}
    >
      <Icon name={on ? names[0] : names[1]} />
    </button>
  );
}

export interface PreJoinPageProps {
  readonly controller: RoomController;
  readonly snapshot: MeetingSnapshot;
  readonly media: LocalMediaSnapshot;
  readonly ui: UiState;
}

/** The page before the meeting: the user's name, and a preview of camera and microphone. */
export function PreJoinPage({ controller, snapshot, media, ui }: PreJoinPageProps) {
  const { camera, microphone } = media;
  const preview = useMediaElement<HTMLVideoElement>(camera.track);
  const joining = isActive(snapshot.connection);
  const { connection } = snapshot;
  const retried =
    (connection.phase === 'connecting' || connection.phase === 'joining') && connection.attempt > 0;
  const problems = explainProblems(
    (['camera', 'microphone'] as const).flatMap((kind) => {
      const { silenced } = media[kind];
      const problem = media[kind].problem ?? (silenced ? 'silenced' : undefined);
      return problem === undefined ? [] : [{ kind, problem }];
    }),
  );
  return (
    <div className="page prejoin">
      <header className="top">
        <a href="/" aria-label="Plenary, first page">
          <Logo />
        </a>
      </header>
      <main className="prejoin-main">
        <section className="preview" aria-label="Your picture">
          {camera.track === undefined ? (
            <div className="preview-off">
              <Avatar name={ui.displayName.trim() || '?'} id={ui.displayName} size={112} />
              <span>{camera.status === 'starting' ? 'Starting the camera…' : 'Your camera is off'}</span>
            </div>
          ) : (
            <video
              ref={preview}
              className="is-mirrored"
              autoPlay
              playsInline
              muted
              data-testid="preview-video"
            />
          )}
          <div className="preview-bar">
            <Toggle kind="microphone" state={microphone} onToggle={(kind) => controller.toggle(kind)} />
            <Toggle kind="camera" state={camera} onToggle={(kind) => controller.toggle(kind)} />
          </div>
          <div className="preview-meter">
            <LevelMeter track={microphone.track} muted={!microphone.enabled} />
          </div>
        </section>
        <form
          className="prejoin-form"
          onSubmit={(event) => {
            event.preventDefault();
            controller.join();
          }}
        >
          <p className="eyebrow">You are about to join</p>
          <h1 data-testid="room-name">{controller.route.roomId}</h1>
          <label className="field">
            <span className="field-label">Your name</span>
            <input
              value={ui.displayName}
              maxLength={MAX_DISPLAY_NAME_LENGTH}
              onChange={(event) => controller.setDisplayName(event.target.value)}
              autoComplete="name"
              autoFocus={ui.displayName === ''}
              placeholder="How others see you"
              required
              data-testid="name-input"
            />
          </label>
          <div className="field-row">
            <DeviceSelect
              kind="microphone"
              state={microphone}
              onChoose={(kind, id) => controller.chooseDevice(kind, id)}
            />
            <DeviceSelect
              kind="camera"
              state={camera}
              onChoose={(kind, id) => controller.chooseDevice(kind, id)}
            />
          </div>
          {ui.isAddressRefused ? (
            <p className="notice is-problem" role="alert" data-testid="address-refused">
              <Icon name="warning" size={18} /> {explainAddress(globalThis.location.origin)}
            </p>
          ) : null}
          {problems.map(({ kind, text }) => (
            <p key={kind} className="notice is-problem" role="alert" data-testid={`${kind}-problem`}>
              <Icon name="warning" size={18} /> {text}
            </p>
          ))}
          <button
            className="button is-large is-wide"
            disabled={joining || !controller.canJoin}
            aria-busy={joining}
            data-testid="join-button"
          >
            {joining ? <span className="spinner" aria-hidden="true" /> : null}
            {joining ? (retried ? 'Still trying…' : 'Joining…') : 'Join now'}
          </button>
          {retried ? (
            <button
              type="button"
              className="button is-quiet is-large is-wide"
              onClick={() => controller.cancelJoin()}
              data-testid="cancel-join-button"
            >
              Cancel
            </button>
          ) : null}
          <p
            className="fine"
            data-testid="connection-state"
            data-phase={connection.phase}
            data-media={snapshot.media}
            role="status"
          >
            {stillTryingText(snapshot) ||
              (problems.length > 0 ? 'You can join without them: you will hear and see the others.' : '')}
          </p>
        </form>
      </main>
    </div>
  );
}
