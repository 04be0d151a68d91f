/** Where the people are whom nobody may disturb. */
export const MEETING_ROOM = 'weekly';
