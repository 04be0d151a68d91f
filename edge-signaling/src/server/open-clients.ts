import type { PlenaryError } from '@plenary/cluster';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { AcceptSocket, ClientSocket } from '../transport/client-socket.ts';
import type { SocketIoClient } from '../transport/socket-io-client.ts';

export interface OpenClientsSettings {
  readonly metrics: Pick<EdgeMetrics, 'sockets'>;
  readonly reportFault: ReportFault;
}

/** Owns the connected clients, from the opening of their namespace to its end, and disconnects them. */
export class OpenClients {
  readonly #settings: OpenClientsSettings;
  readonly #open = new Set<SocketIoClient>();
  readonly #byConnection = new WeakMap<object, SocketIoClient>();

  constructor(settings: OpenClientsSettings) {
    this.#settings = settings;
  }

  /** All connected clients. */
  all(): readonly ClientSocket[] {
    return [...this.#open];
  }

  /**
   * Serves a client until it closes.
   * @param connection - its Engine.IO connection
   */
  add(client: SocketIoClient, connection: object, accept: AcceptSocket): void {
    const { metrics, reportFault } = this.#settings;
    this.#byConnection.set(connection, client);
    this.#open.add(client);
    metrics.sockets.set(this.#open.size);
    client.serve(accept(client), {
      onClosed: () => {
        this.#open.delete(client);
        metrics.sockets.set(this.#open.size);
      },
      reportFault,
    });
  }

  /** Ends a connection with a `bye` that gives the reason; one without a client yet is closed without it. */
  end(connection: { close(): unknown }, why: PlenaryError): void {
    const client = this.#byConnection.get(connection);
    if (client === undefined) connection.close();
    else client.bye(why);
  }

  /** Sends all clients the same reason and closes their connections. */
  endAll(why: PlenaryError): void {
    for (const client of [...this.#open]) client.bye(why);
  }
}
