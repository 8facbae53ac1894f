// The colors of the expressions, those of reports and drawings.
export const colorOf = {
  neutral: "#78828c",
  happiness: "#e69f00",
  surprise: "#cc79a7",
  sadness: "#0072b2",
  anger: "#d52c1e",
  disgust: "#009e73",
  fear: "#754bb7",
  contempt: "#8c5634",
  uncertain: "#696969",
};
