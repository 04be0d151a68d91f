import { useState } from 'react';
import { Icon, Logo } from '../components/Icon.tsx';
import { randomRoomName, roomIdFrom } from '../state/room-names.ts';
import { roomPath } from '../state/route.ts';

const FACES = [
  { letters: 'AK', hue: 262 },
  { letters: 'MO', hue: 18 },
  { letters: 'LS', hue: 168 },
  { letters: 'JR', hue: 338 },
  { letters: 'TN', hue: 210 },
  { letters: 'EV', hue: 44 },
];

function Illustration() {
  return (
    <div className="hero-art" aria-hidden="true">
      {FACES.map(({ letters, hue }, index) => (
        <div key={letters} className={`hero-tile ${index === 1 ? 'is-speaking' : ''}`}>
          <span
            style={{ background: `linear-gradient(145deg, hsl(${hue} 58% 55%), hsl(${hue + 40} 55% 40%))` }}
          >
            {letters}
          </span>
        </div>
      ))}
    </div>
  );
}

/** The first page: choose a room, or take the suggested one. */
export function LandingPage({ badName }: { readonly badName?: string }) {
  const [suggestion, setSuggestion] = useState(() => randomRoomName());
  const [typed, setTyped] = useState('');
  const roomId = roomIdFrom(typed.trim() === '' ? suggestion : typed);
  return (
    <div className="page landing">
      <header className="top">
        <Logo />
      </header>
      <main className="landing-main">
        <section className="hero">
          <h1>Meetings that keep going.</h1>
          <p className="lead">
            Pick a name, share the link, talk. One meeting spans many servers and sites, so no single failure
            ends it.
          </p>
          {badName === undefined ? null : (
            <p className="notice is-problem" role="alert">
              <Icon name="warning" size={18} /> “{badName.slice(0, 80)}” cannot be the name of a meeting. Use
              letters, digits, “-” and “_”.
            </p>
          )}
          <form
            className="start"
            onSubmit={(event) => {
              event.preventDefault();
              if (roomId !== undefined)
                globalThis.location.assign(roomPath(roomId) + globalThis.location.search);
            }}
          >
            <div className="start-field">
              <input
                value={typed}
                placeholder={suggestion}
                onChange={(event) => setTyped(event.target.value)}
                maxLength={80}
                aria-label="Name of the meeting"
                autoComplete="off"
                autoCapitalize="none"
                spellCheck={false}
                data-testid="room-input"
              />
              <button
                type="button"
                className="icon-button"
                aria-label="Suggest another name"
                title="Suggest another name"
                onClick={() => {
                  setTyped('');
                  setSuggestion(randomRoomName());
                }}
                data-testid="random-room-button"
              >
                <Icon name="dice" size={19} />
              </button>
            </div>
            <button className="button is-large" disabled={roomId === undefined} data-testid="create-button">
              Start or join
            </button>
          </form>
          <ul className="points">
            <li>
              <Icon name="check" size={18} /> No account, nothing to install
            </li>
            <li>
              <Icon name="check" size={18} /> Works on phones and computers
            </li>
            <li>
              <Icon name="check" size={18} /> Open source, run it yourself
            </li>
          </ul>
        </section>
        <Illustration />
      </main>
    </div>
  );
}
