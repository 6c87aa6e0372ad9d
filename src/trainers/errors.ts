/** A trainer was asked for something it cannot do; it stands as it stood before the call. */
export class TrainerError extends Error {
  override readonly name: string = "TrainerError";
}
