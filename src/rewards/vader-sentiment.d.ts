declare module "vader-sentiment" {
  /** Parts of the text that are negative, neutral and positive (they sum to 1), and the compound score from -1 to 1. */
  interface PolarityScores {
    readonly neg: number;
    readonly neu: number;
    readonly pos: number;
    readonly compound: number;
  }
  const vader: { readonly SentimentIntensityAnalyzer: { polarity_scores(text: string): PolarityScores } };
  export default vader;
}
