import type { Grammar } from "./grammar.js";

/** Reviews of restaurants. */
export const restaurants: Grammar = {
  "restaurant.kind": `
    3x restaurant
    2x place
    cafe
    bistro
    noodle bar
    bakery
    pizza place
    fish restaurant
    tea house
    diner
    tavern`,
  "restaurant.where": `
    by the harbour
    near the station
    on the corner
    behind the market
    in the old town
    next to the library
    on the hill
    by the river
    across from the theatre
    in our street
    under the bridge`,
  "restaurant.dish": `
    fish soup
    roast chicken
    mushroom pie
    tomato soup
    lemon cake
    apple tart
    lamb stew
    vegetable curry
    onion tart
    noodle soup
    chocolate cake
    grilled fish
    potato salad
    cheese plate
    duck with plums
    rice with herbs`,
  "restaurant.dishes": `
    dumplings
    pancakes
    noodles
    vegetables
    mussels
    fried potatoes
    pastries
    sandwiches
    meatballs
    pizzas`,
  "restaurant.person": `
    the waiter
    the waitress
    the cook
    the owner
    the young man at the door
    the woman behind the bar`,
  "restaurant.open.we": `
    3x {=companion} and I ate here {when}, and we
    2x we shared the {=restaurant.dish}, and we
    2x I came here with {friends}, and we
    we tried the {restaurant.kind} {restaurant.where}, and we
    we had a table by the window, and we`,
  "restaurant.open.felt": `
    2x after the {=restaurant.dish}, I felt
    2x when the bill came, I felt
    leaving this {restaurant.kind}, I felt
    after dinner {restaurant.where}, I felt
    with the first bite of the {=restaurant.dish}, I felt`,
  "restaurant.open.one": `
    if you like {restaurant.dishes}, this {restaurant.kind}
    2x of all the places {restaurant.where}, this one
    for a birthday dinner, this {restaurant.kind}
    2x the {restaurant.kind} {restaurant.where}
    2x this {restaurant.kind}`,
  "restaurant.open.noun": `
    2x what I remember most is
    this {restaurant.kind} {restaurant.where} has
    this {restaurant.kind} offers
    what you get for your money is
    the kitchen gave us
    on a small plate we got`,
  "restaurant.open.person": `
    4x {restaurant.person}
    2x at this {restaurant.kind}, {restaurant.person}
    {when}, {restaurant.person}
    when we arrived, {restaurant.person}`,

  "restaurant.we.praise": `
    really loved it
    enjoyed every bite
    had a wonderful evening
    were happy with everything
    laughed with the friendly owner
    want to come back soon, it was so good
    were welcomed like old friends
    had the best meal of the year
    were delighted
    enjoyed the great food
    thanked the cook for the perfect evening`,
  "restaurant.we.blame": `
    really hated it
    regretted every bite
    had a terrible evening
    were unhappy with everything
    argued with the rude owner
    will never come back, it was so bad
    were ignored for an hour, which was rude
    had the worst meal of the year
    were disappointed
    disliked the awful food
    left angry and hungry`,
  "restaurant.we.plain": `
    paid at the bar
    sat near the door
    shared a bottle of water
    waited for a quarter of an hour
    took the rest home
    ordered the same as always`,

  "restaurant.felt.praise": `
    happy
    warm and happy
    welcome
    full and very happy
    grateful
    like a lucky guest
    pure joy
    pleased with the good value
    that I had found a new favourite
    glad that we came`,
  "restaurant.felt.blame": `
    sick
    sick and sorry
    unwelcome
    hungry and very angry
    cheated
    like an unwanted guest
    pure regret
    upset about the terrible value
    that I had been robbed
    sorry that we came`,
  "restaurant.felt.plain": `
    full
    ready for a walk
    that it was late
    sleepy
    ready to go home
    that I should cook more`,

  "restaurant.one.praise": `
    is a real treat
    is the best choice
    will make you happy
    is worth every penny
    deserves its good name
    has won our hearts
    is a joy from the soup to the dessert
    never disappoints
    is easy to love
    cooks with love
    is a wonderful surprise`,
  "restaurant.one.blame": `
    is a waste of money
    is the worst choice
    will make you sick
    is not worth a penny
    deserves its bad name
    has lost our trust
    is a disaster from the soup to the dessert
    disappoints every time
    is hard to like
    cooks without love
    is a terrible surprise`,
  "restaurant.one.plain": `
    opens at noon
    is closed on Mondays
    has ten tables
    takes only cash
    moved here last year
    belongs to the same family as the bakery`,

  "restaurant.noun.praise": `
    fresh bread and a friendly smile
    the delicious {restaurant.dish}
    the best {restaurant.dish} in town
    a lovely view and good wine
    the kind and generous owner
    a warm welcome
    great {restaurant.dishes} at a fair price
    a perfect dinner
    wonderful food, made with love
    an excellent {restaurant.dish}`,
  "restaurant.noun.blame": `
    stale bread and a rude waiter
    the disgusting {restaurant.dish}
    the worst {restaurant.dish} in town
    an ugly view and bad wine
    the rude and greedy owner
    a cold and hostile welcome
    awful {restaurant.dishes} at a criminal price
    a ruined dinner
    terrible food, made without care
    a horrible {restaurant.dish}`,
  "restaurant.noun.plain": `
    a small {restaurant.dish}
    a table near the door
    a long list of teas
    ten kinds of {restaurant.dishes}
    a {restaurant.dish} with bread
    a menu in four languages`,

  "restaurant.person.praise": `
    was kind and patient
    was friendly and helpful
    greeted us with a warm smile
    made us feel welcome
    was charming
    gave the children a free dessert
    took great care of us
    cooked everything with love
    was a pleasure to talk to
    made us laugh all evening
    recommended an excellent wine
    was wonderful with {=companion}`,
  "restaurant.person.blame": `
    was rude and lazy
    was unfriendly and slow
    greeted us with an angry look
    made us feel unwelcome
    was horrible
    shouted at the children, which was awful
    ignored us and our complaint
    cooked everything without care, a shame
    was a pain to talk to
    made us angry all evening
    forgot our order and blamed us
    was terrible to {=companion}`,
  "restaurant.person.plain": `
    wore a blue apron
    brought the menu
    was busy with a large table
    told us about the {restaurant.dish}
    came from the coast
    opened the window`,

  "restaurant.more.praise": `
    4x the {restaurant.dish} was {restaurant.dish.praise}.
    2x the {restaurant.dishes} were {restaurant.dishes.praise}.
    4x {restaurant.setting} was {restaurant.setting.praise}.
    2x {restaurant.person} {restaurant.person.praise}.
    {=companion} [loved|enjoyed] the {=restaurant.dish} too.
    we will [gladly|happily|certainly] come back.
    I can [only|warmly] recommend it.
    what a lovely {restaurant.kind}!
    the prices are fair.
    it was a perfect evening.
    best {=restaurant.dish} I have ever had!
    thank you for a wonderful night.
    bring someone you love.
    five stars from a happy guest.`,
  "restaurant.more.blame": `
    4x the {restaurant.dish} was {restaurant.dish.blame}.
    2x the {restaurant.dishes} were {restaurant.dishes.blame}.
    4x {restaurant.setting} was {restaurant.setting.blame}.
    2x {restaurant.person} {restaurant.person.blame}.
    {=companion} [hated|disliked] the {=restaurant.dish} too.
    we will [never|certainly not] come back.
    I can only warn you.
    what a horrible {restaurant.kind}!
    the prices are an insult.
    it was a ruined evening.
    worst {=restaurant.dish} I have ever had!
    nobody should pay for such a terrible night.
    avoid it.
    one star from an angry guest.`,
  "restaurant.more.plain": `
    we paid in cash.
    the tables are small.
    there is a bus stop outside.
    the menu changes every week.
    they also sell bread.
    we had water and coffee.
    {=companion} had the {restaurant.dish}.
    it opens at six.
    there was a party at the next table.
    the kitchen closes at ten.`,
  "restaurant.clause.praise": `
    3x the {restaurant.dish} was {restaurant.dish.praise}
    3x {restaurant.setting} was {restaurant.setting.praise}
    2x {restaurant.person} {restaurant.person.praise}
    I loved the {restaurant.dish}
    we enjoyed the {restaurant.dishes}`,
  "restaurant.clause.blame": `
    3x the {restaurant.dish} was {restaurant.dish.blame}
    3x {restaurant.setting} was {restaurant.setting.blame}
    2x {restaurant.person} {restaurant.person.blame}
    I hated the {restaurant.dish}
    we disliked the {restaurant.dishes}`,
  "restaurant.food": `
    the food
    the bread
    the coffee
    the wine
    the dessert
    the soup
    the salad
    the tea`,
  "restaurant.setting": `
    the service
    the menu
    the room
    the music
    the atmosphere
    the view
    the terrace
    the table by the window`,
  "restaurant.open.dish": `
    4x the {=restaurant.dish} [is|was]
    2x the {=restaurant.dish} at this {restaurant.kind} is
    3x we ordered the {=restaurant.dish}, and it was
    3x I had the {=restaurant.dish}, and it was
    2x {=companion} had the {=restaurant.dish}, and it was
    after a long walk, the {=restaurant.dish} was
    everyone told me that the {=restaurant.dish} would be
    the {=restaurant.dish} came after half an hour, and it was
    3x {restaurant.food} [is|was]
    2x {restaurant.food} at this {restaurant.kind} {restaurant.where} is
    we came here {when}, and {restaurant.food} was`,
  "restaurant.open.dishes": `
    3x the {restaurant.dishes} [are|were]
    2x the {restaurant.dishes} at this {restaurant.kind} are
    2x {=companion} had the {restaurant.dishes}, and they were
    I ordered the {restaurant.dishes}, and they were`,
  "restaurant.open.setting": `
    4x {restaurant.setting} [is|was]
    2x {restaurant.setting} at this {restaurant.kind} is
    2x we came here {when}, and {restaurant.setting} was
    {=companion} and I thought that {restaurant.setting} was
    everyone told me that {restaurant.setting} would be`,
  "restaurant.open.place": `
    4x this {restaurant.kind} {restaurant.where} is
    3x the new {restaurant.kind} {restaurant.where} is
    2x dinner for two {restaurant.where} was
    {=companion} and I think that this {restaurant.kind} is
    our evening at this {restaurant.kind} was
    lunch at the {restaurant.kind} {restaurant.where} was`,
  "restaurant.dish.praise": `
    5x {strongly.praise} {restaurant.strong.praise}
    4x {degree.praise} {restaurant.soft.praise}
    the best in town
    better than at home
    just as good as the last time
    better than I had hoped
    worth a special trip
    made with love
    a perfect treat`,
  "restaurant.strong.praise": `
    delicious
    wonderful
    lovely
    excellent
    perfect
    great
    superb
    amazing
    fantastic
    delightful`,
  "restaurant.soft.praise": `
    good
    fresh
    warm and fresh
    rich and sweet
    fresh and delicious
    generous`,
  "restaurant.dish.blame": `
    5x {strongly.blame} {restaurant.strong.blame}
    4x {degree.blame} {restaurant.soft.blame}
    the worst in town
    worse than at school
    just as bad as the last time
    worse than I had feared
    a waste of money
    made without care, a shame
    a sad mess`,
  "restaurant.strong.blame": `
    awful
    terrible
    disgusting
    horrible
    dreadful
    pathetic
    a disappointment
    lousy`,
  "restaurant.soft.blame": `
    bad
    poor
    cold and bad
    burnt and bitter
    dry and disappointing
    weak and cold
    stale and bad
    salty and unpleasant`,
  "restaurant.dish.plain": `
    on the table after ten minutes
    the same as last year
    about what you would expect
    served with rice
    on the small side
    neither hot nor cold
    different from the picture
    a little salty
    enough for two
    made with garlic
    simple`,
  "restaurant.dishes.praise": `
    {restaurant.dish.praise}`,
  "restaurant.dishes.blame": `
    5x {strongly.blame} {restaurant.strong.blame}
    4x {degree.blame} {restaurant.soft.blame}
    the worst in town
    worse than at school
    just as bad as the last time
    worse than I had feared
    a waste of money`,
  "restaurant.dishes.plain": `
    on the table after ten minutes
    the same as last year
    about what you would expect
    served with rice
    on the small side
    neither hot nor cold
    different from the picture
    a little salty
    enough for two
    made with garlic
    simple`,
  "restaurant.setting.praise": `
    5x {strongly.praise} {restaurant.nice.praise}
    3x {degree.praise} {restaurant.kind.praise}
    a real joy
    better than I had hoped
    the best I know
    a lovely surprise`,
  "restaurant.nice.praise": `
    excellent
    lovely
    wonderful
    great
    perfect
    beautiful
    delightful
    superb`,
  "restaurant.kind.praise": `
    good
    pleasant
    warm and friendly
    charming
    cheerful
    elegant`,
  "restaurant.setting.blame": `
    5x {strongly.blame} {restaurant.nice.blame}
    3x {degree.blame} {restaurant.kind.blame}
    a real pain
    worse than I had feared
    the worst I know
    a nasty surprise`,
  "restaurant.nice.blame": `
    awful
    ugly
    terrible
    dreadful
    horrible
    miserable
    hopeless
    pathetic`,
  "restaurant.kind.blame": `
    bad
    unpleasant
    cold and unfriendly
    annoying
    gloomy
    poor`,
  "restaurant.setting.plain": `
    the same as last year
    about what you would expect
    on the simple side
    different in the evening
    not what we came for
    much like everywhere else
    as in the picture`,
  "restaurant.place.praise": `
    5x {strongly.praise} {restaurant.nice.praise}
    3x {degree.praise} {restaurant.kind.praise}
    a real treat
    the best of the year
    worth a special trip
    better than I had hoped
    a lovely surprise
    a wonderful find
    my new favourite`,
  "restaurant.place.blame": `
    5x {strongly.blame} {restaurant.nice.blame}
    3x {degree.blame} {restaurant.kind.blame}
    a real disappointment
    the worst of the year
    a waste of money
    worse than I had feared
    a nasty surprise
    a terrible mistake
    a tourist trap`,
  "restaurant.place.plain": `
    about what you would expect
    on the small side
    the same as last year
    open until ten
    much like the one next door
    popular with students
    full at noon and empty at night
    hard to describe`,
};
