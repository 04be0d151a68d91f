import { useState } from 'react';
import { Icon, Logo } from '../components/Icon.tsx';
import { useServiceInfo } from '../hooks/use-service-info.ts';
import { explainBadName, explainRoomName } from '../state/notices.ts';
import { randomRoomName, readTypedRoom } from '../state/room-names.ts';

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

/** Adds the page's own query (`?dc=`) to a path, before the fragment of a pasted link. */
function withSearch(path: string, search: string): string {
  const [page = '', ...fragment] = path.split('#');
  return [page + search, ...fragment].join('#');
}

/** The first page: the user chooses a room or takes the suggested one. */
export function LandingPage({ badName }: { readonly badName?: string }) {
  const service = useServiceInfo();
  const isAsking = service === 'asking';
  const byInvitation = !isAsking && service?.guests === false;
  const [suggestion, setSuggestion] = useState(() => randomRoomName());
  const [typed, setTyped] = useState('');
  const isTyped = typed.trim() !== '';
  const here = new URL(globalThis.location.href);
  const read = readTypedRoom(isTyped ? typed : suggestion, here);
  const path = read.type === 'room' ? read.path : undefined;
  const isOtherwise = isTyped && read.type === 'room' && read.roomId !== typed.trim();
  return (
    <div className="page landing">
      <header className="top">
        <Logo />
      </header>
      <main className="landing-main">
        <section className="hero">
          <h1>Meetings that keep going.</h1>
          <p className="lead">
            {byInvitation ? 'Meetings here are by invitation.' : 'Pick a name, share the link, talk.'} One
            meeting spans many servers and sites, so no single failure ends it.
          </p>
          {badName === undefined ? null : (
            <p className="notice is-problem" role="alert">
              <Icon name="warning" size={18} /> {explainBadName(badName)}
            </p>
          )}
          {byInvitation ? (
            <p className="notice" data-testid="by-invitation">
              <Icon name="link" size={18} /> To join a meeting, open the link that was made for you. If you
              have none, ask whoever invited you, or open the meeting from the application that it belongs to.
            </p>
          ) : null}
          {isAsking || byInvitation ? null : (
            <>
              <form
                className="start"
                onSubmit={(event) => {
                  event.preventDefault();
                  if (path === undefined) return;
                  const hasSearch = path.includes('?');
                  globalThis.location.assign(hasSearch ? path : withSearch(path, here.search));
                }}
              >
                <div className="start-field">
                  <input
                    value={typed}
                    placeholder={suggestion}
                    onChange={(event) => setTyped(event.target.value)}
                    maxLength={4_096}
                    aria-describedby="room-meaning"
                    aria-invalid={isTyped && path === undefined}
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
                <button className="button is-large" disabled={path === undefined} data-testid="create-button">
                  Start or join
                </button>
              </form>
              <p className="fine room-meaning" id="room-meaning" role="status" data-testid="room-meaning">
                {isTyped && read.type !== 'room' ? explainRoomName(read) : ''}
                {isOtherwise ? `This is the meeting “${read.roomId}”.` : ''}
              </p>
            </>
          )}
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
