/** Whether JSON, and Postgres, write the year of this moment in four digits. In UTC: only a zone may make it another one. */
export function hasFourDigitYear(moment: Date): boolean {
  const year = moment.getUTCFullYear();
  return year >= 1 && year <= 9_999;
}
