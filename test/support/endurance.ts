/** Set by `npm run endurance`: what lasts a minute or less in the tests lasts as long as it would have to in a cluster. */
export const WHOLE = process.env.ENDURANCE === 'whole';
