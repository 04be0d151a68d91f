import { useState } from 'react';
import type { MeetingSnapshot } from '../client/index.ts';
import {
  isSending,
  appearsOn,
  type CaptureKind,
  type CaptureState,
  type LocalMediaSnapshot,
} from '../state/local-media.ts';
import type { RoomController } from '../state/room-controller.ts';
import type { UiState } from '../state/ui-state.ts';
import { DeviceSelect } from './DeviceSelect.tsx';
import { HandButton } from '../features/hands/HandButton.tsx';
import { toggleHand } from '../features/hands/hands.ts';
import { Control } from './Control.tsx';
import { Icon, type IconName } from './Icon.tsx';

interface DeviceWords {
  readonly kind: CaptureKind;
  readonly icons: readonly [on: IconName, off: IconName];
  readonly testId: string;
  readonly switchOn: string;
  readonly switchOff: string;
}

const MICROPHONE: DeviceWords = {
  kind: 'microphone',
  icons: ['mic', 'mic-off'],
  testId: 'mic-button',
  switchOn: 'Unmute microphone',
  switchOff: 'Mute microphone',
};
const CAMERA: DeviceWords = {
  kind: 'camera',
  icons: ['camera', 'camera-off'],
  testId: 'camera-button',
  switchOn: 'Switch camera on',
  switchOff: 'Switch camera off',
};

/** The button of a device: on, off or waiting. A device shown as off must never switch on without a click, hence the third state. */
function DeviceControl({
  words,
  state,
  onToggle,
}: {
  readonly words: DeviceWords;
  readonly state: CaptureState;
  readonly onToggle: (kind: CaptureKind) => void;
}) {
  const { kind, icons, testId, switchOn, switchOff } = words;
  const sends = isSending(state);
  const waits = !sends && appearsOn(state);
  return (
    <Control
      icon={sends ? icons[0] : icons[1]}
      label={
        waits
          ? `The ${kind} comes on as soon as the ${state.silenced ? 'system' : 'browser'} gives it. Leave it off`
          : sends
            ? switchOff
            : switchOn
      }
      testId={testId}
      tone={sends ? undefined : waits ? 'waiting' : 'off'}
      pressed={waits ? 'mixed' : sends}
      onClick={() => onToggle(kind)}
    />
  );
}

export interface ControlBarProps {
  readonly controller: RoomController;
  readonly snapshot: MeetingSnapshot;
  readonly media: LocalMediaSnapshot;
  readonly ui: UiState;
  readonly sharing: boolean;
  /** Whether the user may only watch, and so has no buttons for microphone and camera. */
  readonly watches: boolean;
  readonly peerCount: number;
}

const CAN_SHARE =
  typeof navigator !== 'undefined' &&
  'mediaDevices' in navigator &&
  'getDisplayMedia' in navigator.mediaDevices;

/** The buttons of the meeting. */
export function ControlBar({
  controller,
  snapshot,
  media,
  ui,
  sharing,
  watches,
  peerCount,
}: ControlBarProps) {
  const [devicesOpen, setDevicesOpen] = useState(false);
  const { microphone, camera } = media;
  return (
    <footer className="controls">
      {devicesOpen && !watches ? (
        <div className="device-menu card" data-testid="device-menu">
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
      ) : null}
      <div className="control-group" role="toolbar" aria-label="Meeting controls">
        {watches ? null : (
          <>
            <DeviceControl
              words={MICROPHONE}
              state={microphone}
              onToggle={(kind) => controller.toggle(kind)}
            />
            <DeviceControl words={CAMERA} state={camera} onToggle={(kind) => controller.toggle(kind)} />
            <button
              className={`control is-small ${devicesOpen ? 'is-open' : ''}`}
              aria-label="Choose microphone and camera"
              title="Choose microphone and camera"
              aria-expanded={devicesOpen}
              onClick={() => setDevicesOpen(!devicesOpen)}
              data-testid="devices-button"
            >
              <Icon name="chevron" size={18} />
            </button>
            {CAN_SHARE ? (
              <Control
                icon="screen"
                label={sharing ? 'Stop sharing the screen' : 'Share your screen'}
                testId="screen-button"
                tone={sharing ? 'active' : undefined}
                pressed={sharing}
                onClick={() => controller.toggleScreen()}
              />
            ) : null}
          </>
        )}
        <HandButton
          snapshot={snapshot}
          onToggle={() => {
            controller.run(toggleHand(controller.meeting));
          }}
        />
        <Control
          icon="people"
          label={`People, ${peerCount} in the meeting`}
          testId="people-button"
          tone={ui.panel === 'people' ? 'active' : undefined}
          pressed={ui.panel === 'people'}
          onClick={() => controller.togglePanel('people')}
        />
        <Control
          icon="chat"
          label={ui.unreadChat === 0 ? 'Chat' : `Chat, ${ui.unreadChat} unread`}
          testId="chat-button"
          tone={ui.panel === 'chat' ? 'active' : undefined}
          pressed={ui.panel === 'chat'}
          badge={ui.unreadChat}
          onClick={() => controller.togglePanel('chat')}
        />
        <Control
          icon="leave"
          label="Leave the meeting"
          testId="leave-button"
          tone="danger"
          onClick={() => controller.leave()}
        />
      </div>
    </footer>
  );
}
