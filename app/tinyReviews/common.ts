import type { Grammar } from "./grammar.js";

/** What films, restaurants and books have in common: company, days, degrees, joints. */
export const common: Grammar = {
  companion: `
    my sister
    my brother
    my mother
    my father
    my wife
    my husband
    my cousin
    my neighbour
    my aunt
    my uncle
    my grandmother
    my daughter
    my son
    an old friend
    a colleague
    a friend from work
    my best friend`,
  friends: `
    two friends
    my parents
    the children
    my colleagues
    a few neighbours
    some old friends
    the whole family`,
  when: `
    on Monday
    on a rainy Tuesday
    on Wednesday night
    last Friday
    on Saturday
    on Sunday afternoon
    last week
    last month
    in the spring
    during the holidays
    on a cold evening
    on my birthday
    after work`,
  "degree.praise": `
    5x -
    2x very
    really
    so
    rather
    quite
    surprisingly`,
  hedge: `
    for me,
    to my surprise,
    in my opinion,
    as far as I can tell,
    all in all,
    in the end,
    to be honest,`,
  joint: `
    5x , and
    , and above all
    , and I must say that`,
  turn: `
    6x , but
    2x , although
    , yet
    , even if`,
  "degree.blame": `
    5x -
    2x very
    really
    so
    rather
    quite
    far too
    painfully`,
  "strongly.praise": `
    9x -
    , to my surprise,
    , in my opinion,
    , as always,
    , in the end,
    truly
    really
    simply
    absolutely
    just
    quite`,
  "strongly.blame": `
    9x -
    , to my regret,
    , in my opinion,
    , as always,
    , in the end,
    truly
    really
    simply
    absolutely
    just`,
};
