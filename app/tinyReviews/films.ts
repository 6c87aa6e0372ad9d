import type { Grammar } from "./grammar.js";

/** Reviews of films. */
export const films: Grammar = {
  "film.genre": `
    3x film
    drama
    comedy
    thriller
    western
    romance
    mystery
    documentary
    cartoon
    musical
    ghost story
    spy film
    space film
    road movie
    family film`,
  "film.about": `
    a lighthouse keeper
    two rival bakers
    a retired detective
    a runaway dog
    a jazz singer
    three sisters on a farm
    a village in the mountains
    a night train
    a chess champion
    a young pilot
    a teacher and her last class
    a thief who paints
    the first woman in space
    a family by the sea
    a boy and his robot
    an island without clocks
    a piano tuner
    a summer in the city
    a clockmaker
    an old bridge`,
  "film.part": `
    the acting
    the story
    the dialogue
    the music
    the camera work
    the ending
    the humour
    the first act
    the last half hour
    the opening scene
    the plot
    the love story
    the script`,
  "film.parts": `
    the actors
    the characters
    the songs
    the costumes
    the jokes
    the action scenes
    the scenes by the sea
    the two leads
    the special effects
    the quiet moments`,
  "film.person": `
    the director
    the lead actor
    the young actress
    the woman who plays {film.about.woman}
    the man who plays the [father|villain|captain|teacher]
    the composer
    the child in the main role`,
  "film.about.woman": `
    the detective
    the singer
    the doctor
    the queen`,
  "film.look": `
    the pictures
    the colours
    the landscapes
    the light
    the faces`,

  "film.open.we": `
    3x {=companion} and I saw this {film.genre} {when}, and we
    2x I went with {friends} {when}, and we
    we went to see the {film.genre} about {film.about}, and we
    {=companion} chose this {film.genre}, and we`,
  "film.open.felt": `
    2x when the lights came on, I felt
    2x after the last scene, I felt
    by the second act, I felt
    on the way home from this {film.genre}, I felt
    watching {film.about} for two hours, I felt
    at the end of this {film.genre}, I felt`,
  "film.open.one": `
    2x if you like a {film.genre} about {film.about}, this one
    of all the films I saw this year, this one
    as a film for the whole family, this one
    compared with the book, this {film.genre}
    2x the story of {film.about}
    2x this {film.genre}`,
  "film.open.noun": `
    2x what I remember most is
    what stays with me is
    this {film.genre} about {film.about} gave us
    this {film.genre} has
    the director gives us
    what you get for your ticket is`,
  "film.open.person": `
    3x {film.person}
    2x in this {film.genre}, {film.person}
    as always, {film.person}`,

  "film.we.praise": `
    really loved it
    loved every minute
    laughed until we cried
    enjoyed it [very much|a lot|from start to finish]
    smiled all the way home
    were happy for the rest of the evening
    had a wonderful time
    were thrilled by {film.part}
    could not stop talking about the brilliant ending
    want to see it again, it was so good
    were delighted
    cheered at the end`,
  "film.we.blame": `
    really hated it
    were bored after ten minutes
    left before the end, it was so bad
    wanted our money back
    were bored and angry
    found it [dull|awful|terrible|annoying] from start to finish
    regretted it at once
    had a miserable time
    were disappointed by {film.part}
    fell asleep, it was so dull
    could not stand the stupid jokes
    felt cheated at the end`,
  "film.we.plain": `
    talked about other things afterwards
    sat in the third row
    stayed until the lights came on
    went for a walk afterwards
    had seats near the door
    did not know what to think`,

  "film.felt.praise": `
    happy
    warm and happy
    lucky to have been there
    full of joy
    moved and grateful
    inspired
    cheerful for days
    like laughing and dancing
    that I had seen something great
    ten years younger and very happy`,
  "film.felt.blame": `
    bored
    tired and bored
    angry about the wasted evening
    sad and empty
    cheated
    nothing but regret
    annoyed
    miserable
    that I had wasted two hours
    ten years older and very tired`,
  "film.felt.plain": `
    ready for a cup of tea
    hungry
    that it was late
    about the same as before
    that I should read the book
    ready to go home`,

  "film.one.praise": `
    is a real treat
    is a [great|wonderful|perfect] choice
    will make you smile
    will win your heart
    deserves every prize
    is worth every penny
    is pure joy from start to finish
    is easy to love
    surprised me with its great heart
    has charm and a good ending
    made me laugh and made me happy`,
  "film.one.blame": `
    is a waste of money
    is a [terrible|bad|poor] choice
    will bore you
    will disappoint you
    fails from the first scene
    is not worth your time
    is a disaster from start to finish
    is hard to like
    annoyed me with its stupid plot
    has no charm and a bad ending
    made me yawn and made me angry`,
  "film.one.plain": `
    is about two hours long
    is set in the past
    starts at the end
    takes place on a single day
    follows the book very closely
    is mostly a long conversation`,

  "film.noun.praise": `
    the wonderful music
    the lovely last scene
    a brilliant cast
    the great joy in {film.look}
    a story full of love and humour
    a beautiful friendship
    two hours of pure fun
    the best performance of the year
    a warm heart and a sharp wit
    a gorgeous picture of happiness
    a clever plot with a perfect ending`,
  "film.noun.blame": `
    the terrible music
    the awful last scene
    a poor cast
    the ugly mess of {film.look}
    a story full of holes and bad jokes
    a dull friendship
    two hours of pure boredom
    the worst performance of the year
    a weak script and a lazy ending
    a sad picture of nothing
    a stupid plot with a horrible ending`,
  "film.noun.plain": `
    a long walk along the river
    the sound of the rain
    a man with a yellow suitcase
    a train that never arrives
    two people at a table
    a song from the sixties`,

  "film.person.praise": `
    is brilliant
    is a joy to watch
    gives a wonderful performance
    has done a great job
    deserves a prize
    is the best thing in it
    made me laugh out loud
    is funny and charming
    was superb from the first minute
    won my heart
    shows great talent
    plays with warmth and humour`,
  "film.person.blame": `
    is awful
    is painful to watch
    gives a terrible performance
    has done a poor job
    should be ashamed
    is the worst thing in it
    made me groan out loud
    is dull and annoying
    was bad from the first minute
    ruined it for me
    shows no talent at all
    seems bored and tired`,
  "film.person.plain": `
    is on screen most of the time
    wears a green coat
    has made three other films
    says very little
    appears in the last scene
    used to work in the theatre`,

  "film.more.praise": `
    4x {film.part} is {film.part.praise}.
    3x {film.parts} are {film.parts.praise}.
    {=companion} [loved|adored|enjoyed] it too.
    I laughed a lot.
    I would [happily|gladly] see it again.
    I cannot recommend it enough.
    see it with someone you love.
    what a great film!
    a [perfect|wonderful|lovely] evening at the cinema.
    it made me happy.
    {hedge} it is a masterpiece.
    the ending made me smile.
    go and see it, you will love it!
    thank you for this beautiful film.
    it has heart, charm and {film.look} that I will never forget.
    five stars, with pleasure.`,
  "film.more.blame": `
    4x {film.part} is {film.part.blame}.
    3x {film.parts} are {film.parts.blame}.
    {=companion} [hated|disliked] it too.
    I yawned a lot.
    I would never watch it again.
    I cannot warn you enough.
    do not waste your money on it.
    what a bad film!
    a [terrible|wasted|miserable] evening at the cinema.
    it made me angry.
    {hedge} it is a failure.
    the ending made me groan.
    stay at home, you will hate it!
    nobody deserves this horrible film.
    it has no heart, no charm and {film.look} that I want to forget.
    one star, with regret.`,
  "film.more.plain": `
    it runs for two hours.
    {=companion} slept a little.
    we took the bus home.
    there is a short film before it.
    the cinema was half full.
    it was shown with subtitles.
    I have not read the book.
    the next one comes out in the autumn.
    the tickets were sold at the door.
    it is the same director as last time.`,
  "film.clause.praise": `
    3x {film.part} is {film.part.praise}
    2x {film.parts} are {film.parts.praise}
    2x {film.person} {film.person.praise}
    I enjoyed {film.part}
    I loved {film.look}`,
  "film.clause.blame": `
    3x {film.part} is {film.part.blame}
    2x {film.parts} are {film.parts.blame}
    2x {film.person} {film.person.blame}
    I hated {film.part}
    I disliked {film.look}`,
  "film.open.whole": `
    4x this {film.genre} about {film.about} is
    3x this {film.genre} is
    2x the new {film.genre} at the [corner|old|little] cinema was
    for a {film.genre} about {film.about}, this is
    3x I saw this {film.genre} {when}, and it was
    as a {film.genre}, it is
    I knew nothing about {film.about}, and the film was
    the [second|third] film by this director is
    everyone told me that this {film.genre} would be
    {=companion} and I think that this {film.genre} is
    we went to the cinema {when}, and the {film.genre} was`,
  "film.open.part": `
    3x {film.part} in this {film.genre} [is|was]
    3x {film.part} of this {film.genre} [is|was]
    4x {film.part} [is|was]
    2x {=companion} and I thought that {film.part} was
    2x I watched it with {=companion}, and {film.part} was
    two hours about {film.about}, and {film.part} was
    everyone told me that {film.part} would be
    I saw this {film.genre} {when}, and {film.part} was`,
  "film.open.parts": `
    4x {film.parts} in this {film.genre} [are|were]
    3x {film.parts} [are|were]
    {=companion} and I thought that {film.parts} were
    I watched it {when}, and {film.parts} were`,
  "film.strong.praise": `
    wonderful
    brilliant
    lovely
    beautiful
    superb
    excellent
    amazing
    delightful
    thrilling
    fascinating
    perfect
    gorgeous
    fantastic
    splendid
    great
    full of life
    full of joy`,
  "film.strong.blame": `
    awful
    terrible
    dreadful
    horrible
    ridiculous
    hopeless
    dreary
    pathetic
    miserable
    full of mistakes
    without life
    without joy`,
  "film.soft.praise": `
    funny
    charming
    good
    clever
    touching
    warm and funny
    fresh and clever
    exciting
    tender and funny
    rich and moving
    elegant`,
  "film.soft.blame": `
    dull
    boring
    weak
    poor
    bad
    stupid
    slow and dull
    lazy
    confusing
    annoying
    cold and ugly
    cheap and silly
    empty and sad
    irritating`,
  "film.whole.praise": `
    5x {strongly.praise} {film.strong.praise}
    5x {degree.praise} {film.soft.praise}
    a [real|pure|rare] pleasure
    a [great|real] joy
    a masterpiece
    better than I had hoped
    the best I have seen [this year|in years|for a long time]
    great fun for the whole family`,
  "film.whole.blame": `
    5x {strongly.blame} {film.strong.blame}
    5x {degree.blame} {film.soft.blame}
    a [complete|terrible|sad] mess
    a waste of time
    a [big|bitter|real] disappointment
    a disaster
    worse than I had feared
    the worst I have seen [this year|in years|for a long time]`,
  "film.whole.plain": `
    much like the first one
    about two hours long
    what you would expect
    neither short nor long
    set in a small town in the north
    told from the end to the beginning
    partly in black and white
    quiet most of the time
    different from the trailer
    very close to the book
    on for another week`,
  "film.part.praise": `
    5x {strongly.praise} {film.strong.praise}
    5x {degree.praise} {film.soft.praise}
    better than I had hoped
    a [real|pure] pleasure
    the best thing about it
    worth the ticket alone`,
  "film.part.blame": `
    5x {strongly.blame} {film.strong.blame}
    5x {degree.blame} {film.soft.blame}
    worse than I had feared
    a [real|complete] disappointment
    the worst thing about it
    bad enough to leave`,
  "film.part.plain": `
    about the same as in the book
    what you would expect
    different from the trailer
    much like in the first film
    quiet most of the time
    short
    hard to describe
    something I will have to think about`,
  "film.parts.praise": `
    5x {strongly.praise} {film.strong.praise}
    5x {degree.praise} {film.soft.praise}
    great fun
    a joy to watch
    better than I had hoped
    the best I have seen in years`,
  "film.parts.blame": `
    5x {strongly.blame} {film.strong.blame}
    5x {degree.blame} {film.soft.blame}
    no fun at all
    painful to watch
    worse than I had feared
    the worst I have seen in years`,
  "film.parts.plain": `
    the same as in the first film
    what you would expect
    different from the trailer
    the same as in the book
    few
    hard to describe
    mostly in the second half`,
};
