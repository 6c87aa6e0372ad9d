import type { Grammar } from "./grammar.js";

/** Reviews of books. */
export const books: Grammar = {
  "book.genre": `
    3x novel
    2x book
    story
    mystery
    thriller
    romance
    memoir
    biography
    cookbook
    travel book
    history
    fairy tale`,
  "book.about": `
    a gardener
    a sea captain
    two brothers and a boat
    a girl who talks to bees
    a small bookshop
    a winter in the north
    the last king of the islands
    a doctor in a mountain village
    an old map
    a painter and her model
    a postman
    the history of tea
    a walk across the country
    a forgotten garden
    a family of clockmakers
    a house with a hundred doors`,
  "book.part": `
    the plot
    the writing
    the prose
    the ending
    the first chapter
    the last chapter
    the dialogue
    the translation
    the middle part
    the story
    the main idea`,
  "book.parts": `
    the characters
    the descriptions
    the chapters
    the letters
    the pictures
    the conversations
    the recipes
    the short chapters`,
  "book.person": `
    the author
    the narrator
    the hero
    the main character
    the old [captain|gardener|teacher] in the story
    the translator`,
  "book.open.we": `
    2x we read this {book.genre} in our book club, and we
    2x {=companion} and I read this {book.genre} {when}, and we
    I read it to the children, and they`,
  "book.open.felt": `
    2x when I closed this {book.genre}, I felt
    2x after the last page, I felt
    by the third chapter, I felt
    reading about {book.about}, I felt
    at the end of this {book.genre}, I felt`,
  "book.open.one": `
    if you like a {book.genre} about {book.about}, this one
    2x of all the books I read this year, this one
    as a present, this {book.genre}
    2x the story of {book.about}
    2x this {book.genre}
    this {book.genre} about {book.about}`,
  "book.open.noun": `
    2x what I remember most is
    this {book.genre} about {book.about} has
    the author gives us
    between the covers I found
    what you find in this {book.genre} is
    on every page I found`,
  "book.open.person": `
    4x {book.person}
    2x in this {book.genre}, {book.person}
    as in the last book, {book.person}`,

  "book.we.praise": `
    loved it
    loved every page
    laughed and cried with joy
    enjoyed it [very much|a lot|from start to finish]
    were delighted
    had a great time with it
    could not stop praising the wonderful ending
    smiled at every chapter
    wanted more, it was so good
    found it [brilliant|beautiful|charming|excellent]`,
  "book.we.blame": `
    hated it
    hated every page
    sighed and cried with boredom
    disliked it [very much|a lot|from start to finish]
    were disappointed
    had a terrible time with it
    could not stop mocking the awful ending
    groaned at every chapter
    gave up, it was so bad
    found it [dull|boring|annoying|terrible]`,
  "book.we.plain": `
    finished it in a week
    talked about the cover
    read a chapter each night
    did not know what to think
    went on to the next one
    wondered about the map`,

  "book.felt.praise": `
    happy
    wiser and happier
    grateful
    full of hope
    inspired
    warm and calm
    that I had found a friend
    like a child with a new treasure
    lucky to have found it
    proud of the brave hero`,
  "book.felt.blame": `
    bored
    tired and angry
    cheated
    empty and sad
    annoyed
    cold and lonely
    that I had wasted a week
    like a prisoner of a dull book
    sorry to have bought it
    nothing but hate for the stupid hero`,
  "book.felt.plain": `
    ready for the next one
    sleepy
    that it was late
    about the same as before
    that I should visit the coast
    ready for a walk`,

  "book.one.praise": `
    is a real treasure
    is a [great|wonderful|perfect] gift
    will make you happy
    will win your heart
    deserves every prize
    is worth reading twice
    is easy to love
    gave me hope
    is a joy from the first page to the last
    made me laugh on the train
    has charm, wit and a brilliant plot`,
  "book.one.blame": `
    is a real disappointment
    is a [terrible|bad|poor] gift
    will bore you
    will annoy you
    deserves no prize
    is not worth reading once
    is hard to like
    gave me a headache
    is a pain from the first page to the last
    made me groan on the train
    has no charm, no wit and a stupid plot`,
  "book.one.plain": `
    has four hundred pages
    begins in the winter
    takes place on a ship
    is told by three people
    comes with a map
    was written ten years ago`,

  "book.noun.praise": `
    the wonderful ending
    a beautiful love story
    the best chapter about {book.about}
    a brilliant mystery
    wisdom, humour and great kindness
    a clever plot with a perfect ending
    a lovely garden of ideas
    good company for a long evening
    the joy of {book.about}
    a hero that I will always love`,
  "book.noun.blame": `
    the terrible ending
    a boring love story
    the worst chapter about {book.about}
    a stupid mystery
    nonsense, old tricks and terrible jokes
    a weak plot with an awful ending
    an ugly desert of ideas
    bad company for a long evening
    the misery of {book.about}
    a hero that I will always hate`,
  "book.noun.plain": `
    a map of the islands
    a list of names
    a letter from {book.about}
    a house by the water
    a long journey by train
    a conversation in the rain`,

  "book.person.praise": `
    is brilliant
    is funny and wise
    writes beautiful sentences
    has a great sense of humour
    won my heart
    is a joy to follow
    has done a wonderful job
    is brave and kind
    deserves great praise
    made me laugh out loud
    tells it with love`,
  "book.person.blame": `
    is awful
    is dull and stupid
    writes terrible sentences
    has no sense of humour
    lost my trust
    is a pain to follow
    has done a terrible job
    is weak and selfish
    deserves hard criticism
    made me groan out loud
    tells it without love`,
  "book.person.plain": `
    lives on an island
    has written three other books
    says very little
    travels by train
    used to be a teacher
    returns in the last chapter`,

  "book.more.praise": `
    4x {book.part} is {book.part.praise}.
    3x {book.parts} are {book.parts.praise}.
    2x {book.person} {book.person.praise}.
    {=companion} [loved|adored|enjoyed] it too.
    I will [happily|gladly] read it again.
    I can warmly recommend it.
    what a great book!
    give it to someone you love.
    it made me happy.
    {hedge} it is a masterpiece.
    I smiled at the last page.
    buy it, you will love it!
    a perfect book for a quiet evening.
    five stars, with pleasure.`,
  "book.more.blame": `
    4x {book.part} is {book.part.blame}.
    3x {book.parts} are {book.parts.blame}.
    2x {book.person} {book.person.blame}.
    {=companion} [hated|disliked] it too.
    I will never open it again.
    I can only warn you.
    what a bad book!
    give it to someone you hate.
    it made me angry.
    {hedge} it is a failure.
    I groaned at the last page.
    leave it in the shop, you will hate it!
    a terrible book for a wasted evening.
    one star, with regret.`,
  "book.more.plain": `
    I read it on the train.
    it has three parts.
    {=companion} has the first edition.
    the cover is green.
    there is a map at the front.
    I borrowed it from the library.
    the second volume comes out in the autumn.
    it was written on an island.
    the print is small.
    I have not seen the film.`,
  "book.clause.praise": `
    3x {book.part} is {book.part.praise}
    2x {book.parts} are {book.parts.praise}
    2x {book.person} {book.person.praise}
    I enjoyed {book.part}
    I loved {book.parts}`,
  "book.clause.blame": `
    3x {book.part} is {book.part.blame}
    2x {book.parts} are {book.parts.blame}
    2x {book.person} {book.person.blame}
    I hated {book.part}
    I disliked {book.parts}`,
  "book.open.whole": `
    4x this {book.genre} about {book.about} is
    3x this {book.genre} is
    3x I read this {book.genre} {when}, and it was
    2x {=companion} gave me this {book.genre}, and it was
    for a {book.genre} about {book.about}, this is
    2x the new {book.genre} by this author is
    everyone told me that this {book.genre} would be
    I found this {book.genre} in the library, and it is`,
  "book.open.part": `
    4x {book.part} of this {book.genre} [is|was]
    4x {book.part} [is|was]
    I bought it for {=companion}, and {book.part} was
    2x after fifty pages, {book.part} is
    everyone told me that {book.part} would be
    four hundred pages about {book.about}, and {book.part} is
    {=companion} and I thought that {book.part} was`,
  "book.open.parts": `
    4x {book.parts} in this {book.genre} are
    3x {book.parts} are
    {=companion} and I thought that {book.parts} were`,
  "book.strong.praise": `
    wonderful
    brilliant
    lovely
    beautiful
    great
    superb
    excellent
    fascinating
    delightful
    amazing
    full of love
    full of good ideas`,
  "book.soft.praise": `
    clever
    charming
    good
    wise and funny
    honest and warm
    exciting
    elegant
    rich and beautiful
    funny
    inspiring`,
  "book.strong.blame": `
    awful
    terrible
    dreadful
    ridiculous
    hopeless
    dreary
    pathetic
    full of mistakes
    full of bad ideas`,
  "book.soft.blame": `
    dull
    boring
    weak
    poor
    lazy
    annoying
    bad
    stupid and long
    fake and cold
    confusing
    irritating
    ugly and sad`,
  "book.whole.praise": `
    5x {strongly.praise} {book.strong.praise}
    5x {degree.praise} {book.soft.praise}
    a treasure
    a [real|pure|quiet] joy
    a great gift
    a [true|small] masterpiece
    better than I had hoped
    the best I have read [this year|in years|for a long time]`,
  "book.whole.blame": `
    5x {strongly.blame} {book.strong.blame}
    5x {degree.blame} {book.soft.blame}
    a failure
    a [real|slow] pain
    a waste of paper
    a [terrible|dull] mess
    worse than I had feared
    the worst I have read [this year|in years|for a long time]`,
  "book.whole.plain": `
    four hundred pages long
    about what the cover says
    told in letters
    set on an island
    much like the one before
    written in the present tense
    based on a family story
    divided into three parts
    shorter than it looks
    close to the film
    hard to describe`,
  "book.part.praise": `
    5x {strongly.praise} {book.strong.praise}
    5x {degree.praise} {book.soft.praise}
    a [real|quiet] joy
    better than I had hoped
    the best thing about it`,
  "book.part.blame": `
    5x {strongly.blame} {book.strong.blame}
    5x {degree.blame} {book.soft.blame}
    a [real|slow] pain
    worse than I had feared
    the worst thing about it`,
  "book.part.plain": `
    about the same as in the last book
    what you would expect
    different from the film
    shorter than I remember
    simple
    something I will have to think about`,
  "book.parts.praise": `
    5x {strongly.praise} {book.strong.praise}
    5x {degree.praise} {book.soft.praise}
    a joy to read
    better than I had hoped
    the best thing about it`,
  "book.parts.blame": `
    5x {strongly.blame} {book.strong.blame}
    5x {degree.blame} {book.soft.blame}
    a pain to read
    worse than I had feared
    the worst thing about it`,
  "book.parts.plain": `
    about the same as in the last book
    what you would expect
    different from the film
    shorter than I remember
    simple
    something I will have to think about`,
};
